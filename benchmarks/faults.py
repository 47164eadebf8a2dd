"""The seeded faults: how many layerdiff finds, names and explains, and what other tools say of the same networks.

    python benchmarks/faults.py            every fault; about a quarter of an hour on two cores
    python benchmarks/faults.py --quick    a tenth; writes nothing into the docs

Every planting of `tests/seeded_faults` is judged and diagnosed, and so are the changes that change nothing, pairs of
faults in one network, and networks that are right. What is done is kept in a file as it comes, so a run that was
interrupted goes on where it was. The figures go into docs/faults.md, docs/measured/faults.json and the README. It ends
with code 1 where something is missed that `tests/seeded_faults/faults/misses.py` does not name, and the like.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import fault_work
from fault_page import figures, page, problems, readme_part
from faults.misses import MISSES
from pages import DOCS, write_figures, write_part

ROOT = Path(__file__).parents[1]
PARTS = ("benchmarks", "compare", "handwritten", "package", "reference", "tests/seeded_faults", "tests/candidates")


def state_of_the_code() -> str:
    """A hash of everything that the figures depend on."""
    digest = hashlib.sha256()
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def read(path: Path) -> dict[fault_work.Item, dict[str, Any]]:
    """What was done before."""
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {(one["kind"], one["name"]): one for one in records}


def run(items: list[fault_work.Item], path: Path, processes: int) -> list[dict[str, Any]]:
    """All pieces, those of them that are done already from the file."""
    known = read(path)
    to_do = [item for item in items if item not in known]
    print(f"{len(items)} pieces, {len(items) - len(to_do)} of them done before; {path}", flush=True)
    start = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with (
        path.open("a") as file,
        ProcessPoolExecutor(processes, context, initializer=fault_work.prepare_process) as pool,
    ):
        waiting = {pool.submit(fault_work.done, item): item for item in to_do}
        for number, future in enumerate(as_completed(waiting), 1):
            record = future.result()
            known[waiting[future]] = record
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(f"{number}/{len(to_do)} {time.perf_counter() - start:.0f} s  {told(record)}", flush=True)
    return [known[item] for item in items]


def told(record: dict[str, Any]) -> str:
    """A record in a line."""
    if "error" in record:
        return f"{record['name']}: FAILED {record['error'].strip().splitlines()[-1]}"
    wrong = [name for name in ("right_layers", "right_cause") if not record.get(name, True)]
    if record["kind"] == "equivalent":
        wrong = []
    causes = "; ".join(record.get("causes", record.get("findings", ())))
    return f"{record['kind']} {record['name']}: {record['verdict']}  {causes}" + (
        "  NOT " + ", ".join(wrong) if wrong else ""
    )


def main() -> None:
    """Run, print, write; exit 1 at any problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of all, and nothing written into the docs")
    parser.add_argument("-j", "--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, help="where to keep what is done; by default a file for this code")
    options = parser.parse_args()
    kept = options.output or Path(tempfile.gettempdir(), f"layerdiff-faults-{state_of_the_code()}.jsonl")
    start = time.perf_counter()
    records = run(fault_work.items(every=10 if options.quick else 1), kept, options.processes)
    found = figures(records)
    text = page(found, records, MISSES)
    print(f"\n{text}\n\n{time.perf_counter() - start:.0f} s")
    wrong = problems(records, MISSES)
    for line in wrong:
        print(f"PROBLEM {line}")
    if not options.quick:
        write_part("faults.md", "faults", text)
        write_part("../README.md", "faults", readme_part(found))
        write_figures("faults", found)
        print(f"written: {DOCS / 'faults.md'}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
