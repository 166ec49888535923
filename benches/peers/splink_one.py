"""Times Splink on one new record against a whole table, the way it offers for that.

usage: splink_one.py TABLE      (columns as in historical_50k)

Prints the median wall and CPU milliseconds of a dozen records as JSON.
"""

import json
import logging
import resource
import statistics
import sys
import time
import warnings

import duckdb
import pandas
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

from splink_side import TABLES, cpu_s, rule

RECORDS = 12


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    plan = TABLES["historical_50k"]
    rows = pandas.read_csv(sys.argv[1], dtype=str).drop(columns="source")
    rows["both_names"] = rows["first_name"] + " " + rows["surname"]
    api = DuckDBAPI(connection=duckdb.connect())
    table = api.register(rows, dataset_display_name="known")
    settings = SettingsCreator(
        unique_id_column_name="rec_id",
        link_type="dedupe_only",
        comparisons=plan["comparisons"],
        blocking_rules_to_generate_predictions=[rule(columns) for columns in plan["blocking"]],
    )
    linker = Linker(table, settings)
    linker.training.estimate_probability_two_random_records_match(
        [block_on("first_name", "surname", "dob")], recall=0.5
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=3e5)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("dob"))
    wall_ms, cpu_ms = [], []
    chosen = rows.sample(RECORDS, random_state=1)
    for at in range(RECORDS):
        one = chosen.iloc[[at]].copy()
        one["rec_id"] = f"new-{at}"
        wall, cpu = time.perf_counter(), cpu_s()
        new = api.register(one, dataset_display_name=f"new{at}")
        found = linker.inference.predict_between(table, new)
        found.as_duckdbpyrelation().count("*").fetchall()
        wall_ms.append((time.perf_counter() - wall) * 1e3)
        cpu_ms.append((cpu_s() - cpu) * 1e3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    medians = dict(wall_ms=statistics.median(wall_ms), cpu_ms=statistics.median(cpu_ms))
    print(json.dumps(dict(records=len(rows), rss_bytes=peak, **medians)))


if __name__ == "__main__":
    main()
