"""The project under fire: kills, malformed inputs, full disks, lost schedulers; `make fire`, results in docs/fire.md.

Not part of `make test`, which runs a small sample of it (`test_fire.py`). Every case is made of its number alone, so
that it can be repeated: `make fire KIND=kills CASES=17`.
"""
