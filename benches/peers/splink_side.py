"""Resolves one table with Splink, as its documentation recommends for such data, and writes the
outcome as a folder that `opshub resolve evaluate --run` reads, so that both sides are measured by
the same evaluator.

usage: splink_side.py NAME TABLE OUT_FOLDER [--threads N] [--one N]

NAME is one of the tables in TABLES below, without which nobody could say what to block on: Splink
takes blocking and training rules from its user. `run.json` gets the seconds of CPU and the peak of
resident memory of loading, training, predicting and clustering. With `--one N`, N records are compared
with the whole table afterwards, one by one, the way Splink offers for that; their median times are
`new_record_wall_ms` and `new_record_cpu_ms`, and are no part of the other figures.
"""

import argparse
import csv
import gzip
import json
import logging
import os
import resource
import statistics
import time
import warnings

import duckdb
import pandas
import splink
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

LINK_MIN = 0.95


def born(column):
    return compare.DateOfBirthComparison(
        column, input_is_string=True, datetime_format="%Y%m%d", invalid_dates_as_null=True
    )


def edits(column, distances, by_rarity=False):
    levels = compare.DamerauLevenshteinAtThresholds(column, distances)
    return levels.configure(term_frequency_adjustments=True) if by_rarity else levels


def equal(column):
    return compare.ExactMatch(column).configure(term_frequency_adjustments=True)


SWAPPED = "l.given_name = r.surname and l.surname = r.given_name"

# Per table: whether two sources are linked, comparisons, blocking rules, rules that find nearly only
# matches with the recall they are thought to have, rules to train on, pairs to draw for `u` and for
# training.
TABLES = {
    "febrl3": dict(
        link_type="dedupe_only",
        comparisons=[
            compare.NameComparison("given_name"),
            compare.NameComparison("surname"),
            born("date_of_birth"),
            edits("soc_sec_id", [2]),
            equal("street_number"),
            equal("postcode"),
        ],
        blocking=["soc_sec_id", "given_name", "surname", "date_of_birth", "postcode"],
        certain=(["soc_sec_id", ("given_name", "surname", "date_of_birth")], 0.9),
        training=["date_of_birth", "postcode"],
        random_pairs=1e6,
    ),
    "febrl4": dict(
        link_type="link_only",
        comparisons=[
            compare.NameComparison("given_name").configure(term_frequency_adjustments=True),
            compare.NameComparison("surname").configure(term_frequency_adjustments=True),
            born("date_of_birth"),
            edits("soc_sec_id", [1, 2]),
            equal("street_number"),
            edits("postcode", [1, 2], by_rarity=True),
        ],
        blocking=[
            ("given_name", "surname"), SWAPPED, "date_of_birth", "soc_sec_id",
            ("state", "address_1"), ("street_number", "address_1"), "postcode",
        ],
        certain=(["soc_sec_id", ("given_name", "surname", "date_of_birth")], 0.8),
        training=["date_of_birth", "postcode"],
        random_pairs=1e6,
    ),
    "historical_50k": dict(
        link_type="dedupe_only",
        comparisons=[
            compare.ForenameSurnameComparison(
                "first_name", "surname", forename_surname_concat_col_name="both_names"
            ),
            compare.DateOfBirthComparison("dob", input_is_string=True),
            compare.PostcodeComparison("postcode_fake"),
            equal("birth_place"),
            equal("occupation"),
        ],
        names=("first_name", "surname"),
        blocking=[
            ("substr(first_name,1,3)", "substr(surname,1,4)"), ("surname", "dob"), ("first_name", "dob"),
            ("postcode_fake", "first_name"), ("postcode_fake", "surname"), ("dob", "birth_place"),
            ("substr(postcode_fake,1,3)", "dob"), ("substr(postcode_fake,1,3)", "first_name"),
            ("substr(postcode_fake,1,3)", "surname"),
            ("substr(first_name,1,2)", "substr(surname,1,2)", "substr(dob,1,4)"),
        ],
        certain=(
            [
                ("first_name", "surname", "dob"),
                ("substr(first_name,1,2)", "surname", "substr(postcode_fake,1,2)"),
                ("dob", "postcode_fake"),
            ],
            0.6,
        ),
        training=[("first_name", "surname"), "dob"],
        random_pairs=1e7,
    ),
    "synth": dict(
        link_type="dedupe_only",
        comparisons=[
            compare.ForenameSurnameComparison(
                "given_name", "surname", forename_surname_concat_col_name="both_names"
            ),
            born("date_of_birth"),
            edits("soc_sec_id", [1, 2]),
            edits("postcode", [1], by_rarity=True),
            compare.JaroWinklerAtThresholds("address_1", [0.9]).configure(term_frequency_adjustments=True),
            equal("street_number"),
            edits("phone", [1, 2]),
            compare.LevenshteinAtThresholds("email", [1, 3]),
        ],
        names=("given_name", "surname"),
        blocking=[
            "soc_sec_id", "phone", "email", ("given_name", "surname", "postcode"),
            ("surname", "date_of_birth"), ("given_name", "date_of_birth"), ("date_of_birth", "postcode"),
            ("street_number", "address_1", "postcode"),
        ],
        certain=(
            ["soc_sec_id", ("given_name", "surname", "date_of_birth"), ("phone", "surname")],
            0.8,
        ),
        training=[("given_name", "surname"), "date_of_birth"],
        random_pairs=1e6,
        training_pairs=1e6,
        keep_min=0.01,
    ),
}


def rule(columns):
    if isinstance(columns, tuple):
        return block_on(*columns)
    return columns if " = " in columns else block_on(columns)


def cpu_s():
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def new_records(linker, api, known, rows, count):
    """Median milliseconds of one new record against the table."""
    wall_ms, cpu_ms = [], []
    chosen = rows.sample(count, random_state=1)
    for at in range(count):
        one = chosen.iloc[[at]].copy()
        one["rec_id"] = f"new-{at}"
        wall, cpu = time.perf_counter(), cpu_s()
        new = api.register(one, dataset_display_name=f"new{at}")
        found = linker.inference.predict_between(known, new)
        found.as_duckdbpyrelation().count("*").fetchall()
        wall_ms.append((time.perf_counter() - wall) * 1e3)
        cpu_ms.append((cpu_s() - cpu) * 1e3)
    return dict(new_record_wall_ms=statistics.median(wall_ms), new_record_cpu_ms=statistics.median(cpu_ms))


def link(table, plan, threads, new_count):
    """Predictions and clusters of one table, with the seconds of CPU of each step."""
    connection = duckdb.connect()
    connection.execute(f"set threads={threads}")
    api = DuckDBAPI(connection=connection)
    steps, last = {}, cpu_s()

    def lap(step):
        nonlocal last
        now = cpu_s()
        steps[step], last = round(now - last, 2), now

    rows = pandas.read_csv(table, dtype=str)
    if names := plan.get("names"):
        rows["both_names"] = rows[names[0]] + " " + rows[names[1]]
    if plan["link_type"] == "link_only":
        frames = [part.drop(columns="source") for _, part in rows.groupby("source")]
    else:
        frames = [rows.drop(columns="source")]
    tables = [api.register(frame, dataset_display_name=f"t{at}") for at, frame in enumerate(frames)]
    lap("load")
    settings = SettingsCreator(
        unique_id_column_name="rec_id",
        link_type=plan["link_type"],
        comparisons=plan["comparisons"],
        blocking_rules_to_generate_predictions=[rule(columns) for columns in plan["blocking"]],
    )
    linker = Linker(tables if len(tables) > 1 else tables[0], settings)
    certain, recall = plan["certain"]
    linker.training.estimate_probability_two_random_records_match([rule(c) for c in certain], recall=recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=plan["random_pairs"])
    bound = {"max_pairs": plan["training_pairs"]} if "training_pairs" in plan else {}
    for columns in plan["training"]:
        linker.training.estimate_parameters_using_expectation_maximisation(
            rule(columns), estimate_without_term_frequencies=True, **bound
        )
    lap("train")
    kept = {"threshold_match_probability": plan["keep_min"]} if "keep_min" in plan else {}
    chunks = {"num_chunks_left": 2, "num_chunks_right": 2} if len(rows) > 200_000 else {}
    predicted = linker.inference.predict(**kept, **chunks)
    lap("predict")
    clustered = linker.clustering.cluster_pairwise_predictions_at_threshold(
        predicted, threshold_match_probability=LINK_MIN
    )
    lap("cluster")
    usage = dict(cpu_s=round(sum(steps.values()), 2), cpu_steps_s=steps)
    usage["rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pairs = predicted.as_duckdbpyrelation().project("rec_id_l, rec_id_r, match_probability, match_weight").df()
    clusters = clustered.as_duckdbpyrelation().project("rec_id, cluster_id").df()
    if new_count:
        usage.update(new_records(linker, api, tables[0], frames[0], new_count))
    return len(rows), pairs, clusters, usage


def write(folder, name, records, pairs, clusters, usage, wall_s):
    os.makedirs(folder, exist_ok=True)
    pairs = pairs.sort_values("match_probability", ascending=False)
    header = ["left", "right", "probability", "decision", "weight_bits"]
    linked = 0
    with (
        open(f"{folder}/links.csv", "w", newline="") as links,
        gzip.open(f"{folder}/candidates.csv.gz", "wt", compresslevel=1, newline="") as candidates,
    ):
        writers = csv.writer(links), csv.writer(candidates)
        for writer in writers:
            writer.writerow(header)
        for left, right, probability, weight in pairs.itertuples(index=False):
            is_linked = probability >= LINK_MIN
            row = [left, right, f"{probability:.6f}", "linked" if is_linked else "none", f"{weight:.3f}"]
            writers[1].writerow(row)
            if is_linked:
                linked += 1
                writers[0].writerow(row)
    clusters.columns = ["record", "customer"]
    clusters.to_csv(f"{folder}/clusters.csv", index=False)
    sizes = clusters.groupby("customer").size()
    summary = dict(
        model=f"splink {splink.__version__}", records=records, sources=[], ignored_columns=[], rejected=0,
        across_only=TABLES[name]["link_type"] == "link_only", candidates=len(pairs), linked=linked, review=0,
        customers=len(sizes), largest=int(sizes.max()), wall_s=round(wall_s, 2), **usage,
    )
    with open(f"{folder}/run.json", "w") as file:
        json.dump(summary, file, indent=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(TABLES))
    parser.add_argument("table")
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--one", type=int, default=0)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("splink").setLevel(logging.ERROR)
    began = time.perf_counter()
    records, pairs, clusters, usage = link(args.table, TABLES[args.name], args.threads, args.one)
    write(args.folder, args.name, records, pairs, clusters, usage, time.perf_counter() - began)


if __name__ == "__main__":
    main()
