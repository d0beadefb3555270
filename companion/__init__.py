"""What runs, tabulates, shows, exchanges and costs the thesis; the thesis itself is `thesislib`.

Floors, from the top: cli, cost, reports, experiments, drawing and exchange, analysis, pipeline, datasets and weights,
settings. A floor imports from those below it alone.
"""
