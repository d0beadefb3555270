"""Dask workers as Slurm jobs, for `thesis ... --scheduler FILE`: copy it, and change what your cluster wants.

Needs dask-jobqueue, which the project does not depend on: pip install dask-jobqueue
Runs on a login or service node for as long as the work lasts; Ctrl-C ends the jobs. See slurm.md.
"""

import argparse
import time

import dask
from dask_jobqueue import SLURMCluster

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--scheduler-file", default="scheduler.json", help="a path that the command's machine can read")
parser.add_argument("--jobs", type=int, default=8, help="at most so many at once, each with one worker")
parser.add_argument("--partition")
parser.add_argument("--account")
parser.add_argument("--interface", help="network that compute nodes reach this machine by, such as ib0")
parser.add_argument("--gpus", type=int, default=1, help="per job: 1 for preset voc2012, 0 for the demo")
parser.add_argument("--cores", type=int, default=8, help="per job; its worker computes one stage at a time")
parser.add_argument("--memory", default="32GB", help="per job")
parser.add_argument("--walltime", default="04:00:00", help="a stage cut short goes on in another job")
parser.add_argument("--before", action="append", default=[], help="a line of the job, e.g. 'module load python/3.11'")
options = parser.parse_args()

# A training longer than the wall time loses several workers; that is no reason to give it up.
dask.config.set({"distributed.scheduler.allowed-failures": 100})
cluster = SLURMCluster(
    queue=options.partition,
    account=options.account,
    interface=options.interface,
    cores=1,  # threads of the worker
    processes=1,
    memory=options.memory,
    job_cpu=options.cores,
    walltime=options.walltime,
    job_extra_directives=[f"--gres=gpu:{options.gpus}"] if options.gpus else [],
    job_script_prologue=[
        *options.before,
        "export OMP_NUM_THREADS=1",
        "export DASK_DISTRIBUTED__WORKER__DAEMON=False",  # else a worker may not start processes that load images
        "export MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4294967296",  # as local workers have it
    ],
    worker_extra_args=["--no-dashboard", "--memory-limit", "0"],  # Slurm enforces the memory
    scheduler_options={"scheduler_file": options.scheduler_file, "dashboard_address": ":0"},
)
cluster.adapt(minimum_jobs=0, maximum_jobs=options.jobs)  # submits jobs when there is work, and again those that ended
print(cluster.job_script())
print(f"scheduler {cluster.scheduler_address}, file {options.scheduler_file}; Ctrl-C ends it", flush=True)
try:
    while True:
        time.sleep(60)
except KeyboardInterrupt:
    cluster.close()
