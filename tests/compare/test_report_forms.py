"""The forms of a report for other programs: Markdown, GitHub's annotations, JUnit, JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema
import junitparser
import made_runs
import pytest
import xmlschema

from layerdiff.command.options import REPORT_FORMS
from layerdiff.compare.harmless import harmless
from layerdiff.compare.render.forms import FORMS, Look, rendered
from layerdiff.compare.render.github import annotation, render_github
from layerdiff.compare.render.junit import render_junit
from layerdiff.compare.render.markdown import render_markdown
from layerdiff.compare.render.stat import render_stat
from layerdiff.compare.result import Run
from layerdiff.compare.saved import read_run, run_to_json
from layerdiff.compare.schema import run_schema

RUNS = made_runs.runs()
EVERY = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def test_the_command_offers_the_forms_that_there_are():
    """Each form has a name for `--format`; `stat` has a flag of its own."""
    assert {*REPORT_FORMS, "stat"} == set(FORMS)


@EVERY
@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_every_run_and_ends_with_a_newline(run, form):
    """No kind of run breaks a form; rendering twice gives the same text, whatever the look."""
    text = rendered(run, form)

    assert text.endswith("\n") or not run.reports
    assert text == rendered(run, form)
    assert rendered(run, form, Look(60, ascii_only=True, every_layer=True, root="/home/someone"))


JUNIT = xmlschema.XMLSchema(Path(__file__).parent / "junit.xsd")


def check_junit(text: str) -> None:
    """Refuses what the schema does not allow, and totals that do not come out."""
    JUNIT.validate(text)
    top = Xml.fromstring(text)
    counted = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    for suite in top:
        assert {name: len(suite.findall(path)) for name, path in counted.items()} == {
            name: int(suite.get(name)) for name in counted
        }
        assert len(suite.findall("testcase/skipped")) == int(suite.get("skipped"))
    totals = {name: sum(int(suite.get(name)) for suite in top) for name in counted}
    assert totals == {name: int(top.get(name)) for name in counted}


def spoiled_junit():
    """Documents that are nearly right, by what is wrong in them."""
    good = render_junit(RUNS["different"])
    return {
        "no such element": good.replace("<properties>", "<facts>").replace("</properties>", "</facts>"),
        "no such attribute": good.replace("<testcase ", '<testcase line="7" '),
        "an attribute lacks": re.sub(r' failures="\d+"', "", good),
        "no number": re.sub(r' tests="\d+"', ' tests="many"', good),
        "two outcomes": re.sub(r"(<failure .*?</failure>)", r"\1\1", good, count=1, flags=re.DOTALL),
        "a case twice": re.sub(r"(<testcase [^>]*/>)", r"\1\1", good, count=1),
        "properties last": re.sub(
            r"(<properties>.*?</properties>)(.*)(</testsuite>)", r"\2\1\3", good, flags=re.DOTALL
        ),
        "cut short": good[: len(good) // 2],
    }


@pytest.mark.parametrize("text", spoiled_junit().values(), ids=spoiled_junit())
def test_the_schema_of_junit_refuses_what_is_wrong(text):
    """The schema is not one that takes anything."""
    assert text != render_junit(RUNS["different"])
    with pytest.raises((xmlschema.XMLSchemaException, Xml.ParseError)):
        JUNIT.validate(text)


@EVERY
def test_junit_is_valid_and_read_by_a_reader(run):
    """JUnit holds to its schema; a reader finds a case for each layer, and the outcome of each."""
    text = render_junit(run)

    check_junit(text)
    suites = list(junitparser.JUnitXml.fromstring(text.encode()))
    for suite, report in zip(suites, run.reports, strict=bool(run.reports)):
        cases = {case.name: case for case in suite if case.classname == "layerdiff.forward"}
        assert list(cases) == [layer.layer for layer in report.layers]
        for layer in report.layers:
            found = {"Failure": {"fault", "missing"}, "Error": {"unjudged"}, "Skipped": {"inherited"}}
            kinds = [type(result).__name__ for result in cases[layer.layer].result]
            assert all(layer.status in found[kind] for kind in kinds)
            assert bool(kinds) == (layer.status != "same")


@EVERY
def test_junit_is_green_only_where_the_verdict_is_same(run):
    """The case `verdict` fails where a network is different, and is an error where nobody could tell."""
    verdicts = [case for case in Xml.fromstring(render_junit(run)).iter("testcase") if case.get("name") == "verdict"]
    outcomes = {"same": [], "different": ["failure"], "unknown": ["error"]}

    expected = [outcomes[report.verdict] for report in run.reports] or [["error"]]
    assert [[child.tag for child in case] for case in verdicts] == expected


def test_a_junit_failure_has_the_finding():
    """The failure of a layer says why, where, and which cause was found."""
    failures = {
        case.get("name"): case[0].text for case in Xml.fromstring(render_junit(RUNS["different"])).iter("testcase")
        if len(case)
    }  # fmt: skip

    text = failures["layer2.0.downsample.1"]
    assert "998 of 1,000 values differ (99.8%)" in text
    assert "where     /home/someone/net.py:58" in text
    assert "C1 eps is 0.001, expected 1e-05 [confirmed]" in text


COMMAND = re.compile(r"::(error|warning|notice) ((?:file|line|title)=[^:,\r\n]*(?:,(?:file|line|title)=[^:,]*)*)::(.*)")


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """GitHub's own reading of its commands: level, properties, message, unescaped."""
    found = []
    for line in text.splitlines():
        level, properties, message = COMMAND.fullmatch(line).groups()
        pairs = (one.split("=", 1) for one in properties.split(","))
        found.append((level, {name: _unescaped(value) for name, value in pairs}, _unescaped(message)))
    return found


def _unescaped(text: str) -> str:
    for code, sign in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, sign)
    return text


@EVERY
def test_every_line_for_github_is_an_annotation(run):
    """Each line is a command that GitHub reads; one that is no error says `same` or a doubt."""
    found = commands(render_github(run))

    assert found
    assert all("same" in message or "doubt" in more["title"] for level, more, message in found if level != "error")
    assert any(level == "error" for level, _, _ in found) == (run.verdict != "same")


def test_an_annotation_stands_at_the_candidates_line():
    """Causes come first, at the file relative to the checkout and the line; a fault without a confirmed cause too."""
    found = commands(render_github(RUNS["different"], root="/home/someone"))

    answer, cause, unexplained, fault, extra = found
    assert answer[2].endswith("different: 2 layers at fault, 1 too many, 6 inherit, 9 same")
    assert cause[1] == {"file": "net.py", "line": "58", "title": "layerdiff C1: layer2.0.downsample.1"}
    assert cause[2].splitlines()[0] == "eps is 0.001, expected 1e-05 [confirmed: run again with eps=1e-05]"
    assert unexplained[1] == {"title": "layerdiff U1: layer2.0.conv2"}
    assert fault[1] == {"file": "net.py", "line": "61", "title": "layerdiff: layer2.0.conv2"}
    assert extra[1] == {"file": "net.py", "line": "80", "title": "layerdiff: relu_9"}


def test_annotations_are_escaped_as_github_wants_it():
    """Per cent, CR and LF everywhere; colon and comma in properties too."""
    line = annotation("error", "a: b, c%", "50% of\r\na, b: c", "/there/C:/x,y.py:7", root="/here")

    assert line == (
        "::error file=/there/C%3A/x%2Cy.py,line=7,title=a%3A b%2C c%25::50%25 of%0D%0Aa, b: c"
    )  # fmt: skip
    assert commands(line) == [
        ("error", {"file": "/there/C:/x,y.py", "line": "7", "title": "a: b, c%"}, "50% of\r\na, b: c")
    ]
    assert annotation("notice", "t", "m", "run.onnx").startswith("::notice file=run.onnx,title=t::")


def large_run(count: int) -> Run:
    """A run with that many layers at fault, each with much to say."""
    wrong = made_runs.layers()[9]
    many = tuple(
        replace(wrong, index=i, layer=f"layer{i}." + "x" * 200, inputs=("input",), source="/home/" + "y" * 900 + ":1",
                problems=("p" * 900,))
        for i in range(count)
    )  # fmt: skip
    report = made_runs.made(layers=many, findings=tuple(replace(made_runs.CAUSE, title=f"{i}") for i in range(count)))
    return Run(made_runs.ENVIRONMENT, (report,) * 3)


@pytest.mark.parametrize("limit", [1000, 5000, 65_000])
@pytest.mark.parametrize("run", [*RUNS.values(), large_run(500)], ids=[*RUNS, "large"])
def test_markdown_is_never_longer_than_a_comment_may_be(run, limit):
    """Under the limit whatever the run holds: the verdict stands first, every fence and fold that opens is closed."""
    text = render_markdown(run, limit=limit)

    assert len(text) < limit
    assert re.match(r"### layerdiff: (✅ same|❌ different|❔ could not tell)\n", text)
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```") % 2 == 0


def test_markdown_says_how_much_it_leaves_out():
    """What does not fit is counted, and the first causes and faults are there."""
    text = render_markdown(large_run(500))

    kept = len(re.findall(r"^- \*\*C1\*\* ", text, re.MULTILINE))
    left = int(re.search(r"^and (\d+) more; the run's JSON has them$", text, re.MULTILINE)[1])
    assert kept > 50
    assert kept + left == 500
    assert re.search(r"^and \d+ parts more; the run's JSON has them$", text, re.MULTILINE)
    with pytest.raises(ValueError, match="no room to say anything, got a limit of 999, expected at least 1000"):
        render_markdown(large_run(1), limit=999)


def test_markdown_has_faults_first_and_details_folded():
    """The answer, then the causes, then the layers at fault; the whole report behind a fold."""
    text = render_markdown(RUNS["different"])
    order = [
        "❌ different",
        "**different: 2 layers",
        "**C1** eps is 0.001",
        "| <code>layer2.0.downsample.1</code> | fault",
        "<details><summary>The report in full",
        "<details><summary>Environment",
    ]

    places = [text.index(part) for part in order]

    assert places == sorted(places)
    assert "layer1.3.conv1" not in text.partition("<details>")[0]


def test_stat_is_the_answers_alone():
    """One line for a network; with its name where there are several."""
    assert render_stat(RUNS["different"]) == "different: 2 layers at fault, 1 too many, 6 inherit, 9 same"
    lines = render_stat(RUNS["several"]).splitlines()
    assert len(lines) == 7
    assert all(line.startswith("net.py:resnet18, float32 and float64: ") for line in lines)


@EVERY
def test_json_holds_to_its_schema(run):
    """What is written is valid by the published schema, NaN and infinity present, and read back as it was."""
    content = run_to_json(run)
    found = json.loads(content, parse_constant=pytest.fail)

    jsonschema.Draft202012Validator.check_schema(run_schema())
    jsonschema.validate(found, run_schema(), cls=jsonschema.Draft202012Validator)


def test_nan_and_infinity_survive_json(tmp_path):
    """Values that are not finite are counted, null in the file, and judged the same once they are read back."""
    path = tmp_path / "run.json"
    nan = RUNS["different"].reports[0].layers[10].measures[0]
    assert (nan.ratio, nan.actual, nan.nonfinite_actual) == (None, None, 7)

    path.write_bytes(run_to_json(RUNS["different"]))

    assert read_run(path) == RUNS["different"]
    figures = json.loads(path.read_text())["reports"][0]["layers"][10]["measures"][0]
    assert (figures["ratio"], figures["actual"], figures["nonfinite_actual"]) == (None, None, 7)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run.pop("schema"),
        lambda run: run.update(schema=2),
        lambda run: run["reports"][0].pop("expected"),
        lambda run: run["reports"][0]["layers"][0].update(status="fine"),
        lambda run: run["reports"][0]["layers"][0]["measures"][0].update(ratio="high"),
    ],
    ids=["no version", "another version", "expected", "status", "ratio"],
)
def test_the_schema_refuses_what_is_no_run(spoil):
    """The schema is not one that takes anything."""
    content = json.loads(run_to_json(RUNS["different"]))
    spoil(content)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, run_schema())


def test_a_run_of_the_first_version_is_still_read(tmp_path):
    """A file written by the first layerdiff that had this command is read, shown in every form, and judged the same."""
    path = Path(__file__).parent / "saved_runs" / "first.json"

    run = read_run(path)

    jsonschema.validate(json.loads(path.read_text()), run_schema())
    assert run.verdict == "different"
    assert [layer.layer for layer in run.reports[0].layers if layer.status == "fault"] == ["bn1"]
    assert run.reports[0].findings[0].code == "C1"
    assert all(rendered(run, form) for form in FORMS)


def test_a_record_without_anything_harmful_is_not_copied():
    """Making a run harmless changes nothing in one that is."""
    assert harmless(RUNS["different"]).reports is RUNS["different"].reports
