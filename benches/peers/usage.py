"""Runs a command and writes its seconds of CPU and its peak of resident memory as JSON.

usage: usage.py FILE COMMAND...
"""

import json
import resource
import subprocess
import sys
import time

began = time.perf_counter()
code = subprocess.run(sys.argv[2:], check=False).returncode
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
usage = dict(
    cpu_s=round(spent.ru_utime + spent.ru_stime, 2),
    wall_s=round(time.perf_counter() - began, 2),
    rss_bytes=spent.ru_maxrss * 1024,
)
with open(sys.argv[1], "w") as file:
    json.dump(usage, file)
sys.exit(code)
