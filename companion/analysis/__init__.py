"""Numbers from what the pipeline has computed: measures, intervals, differences, verdicts, clusters and errors."""
