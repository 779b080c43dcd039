from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from loadtest import document as doc
from loadtest.__main__ import main
from loadtest.describing import describe_run
from loadtest.html import html_text
from loadtest.runner import Load, Result, run
from loadtest.scenario import Scenario
from loadtest.statistics import Recorder
from loadtest.svg import Axis, Figure, linear_ticks, log_ticks
from tests.loadtest.fake_docker import FakeDocker, http
from tests.loadtest.virtual import VirtualSystem

MS = 1_000_000
SAMPLE = Path(__file__).parents[2] / "docs" / "loadtest-sample.html"
VOID = {"meta", "br", "hr", "img", "link"}


def described(**fields: object) -> doc.Run:
    scenario = Scenario(host="unix:///s", run_id="r", **fields)  # type: ignore[arg-type]  # checked at run time
    return describe_run(
        Load(scenario, lambda: VirtualSystem(lambda number, at_ns: at_ns + (number % 7 + 1) * MS)).create()
    )


class Checker(HTMLParser):
    """Every element is closed by its own tag, and nothing is fetched from anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href"} & {name for name, _ in attrs}, tag
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID | {"path"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    for figure in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(figure)
        assert "nan" not in figure
    return checker


def data_of(page: str) -> list[dict[str, object]]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert match is not None
    read: list[dict[str, object]] = json.loads(match[1])
    return read


def test_a_page_of_a_run_is_whole_in_itself_and_has_its_data() -> None:
    run = described(rate_per_s=500, count=2000, warmup_s=0.5)
    page = html_text([run])
    checker = checked(page)
    assert page.count("<svg") == 4
    assert "prefers-color-scheme: dark" in page
    assert "open model at 500/s" in checker.text
    assert "too few samples to tell" not in checker.text
    (data,) = data_of(page)
    assert (data["kind"], data["containers"]) == ("run", None)
    assert doc.decode(json.dumps(data).encode()).version == doc.VERSION


def test_what_a_server_says_cannot_become_part_of_the_page(docker: FakeDocker) -> None:
    evil = "</script><script>alert(1)</script><b>&"
    docker.script = lambda number, request: http(500, {"message": evil}) if number == 0 else None
    page = html_text([describe_run(run(Scenario(host=docker.host, count=20)))])
    checked(page)
    assert page.count("</script>") == 1
    (data,) = data_of(page)
    assert evil in str(data["errors"])


def test_a_run_that_did_nothing_has_a_page() -> None:
    nothing = Result(
        scenario=Scenario(host="unix:///s"),
        server="",
        created=(),
        errors=(),
        statuses={},
        sent=0,
        abandoned=0,
        samples=Recorder(3).samples(3),
        is_interrupted=True,
    )
    page = html_text([describe_run(nothing)])
    assert "interrupted after 0 requests" in checked(page).text
    assert "<svg" not in page


def test_a_sweep_and_a_search_have_their_own_figures() -> None:
    runs = tuple(described(count=200, concurrency=concurrency) for concurrency in (1, 2, 4))
    usl = doc.Usl(100, 0.1, 0.001, 30, 0.99)
    tried = tuple(described(count=200, rate_per_s=rate) for rate in (100.0, 125.0, 112.5))
    page = html_text(
        [
            doc.Sweep(doc.VERSION, ("boatyard-load", "sweep"), runs, usl),
            doc.Knee(doc.VERSION, (), tried, (True, False, True), 112.5, True),
        ]
    )
    text = checked(page).text
    assert page.count("<svg") == 4
    assert "contention 0.1, coherency 0.001" in text
    assert "112/s is the highest rate that was borne" in text
    for label in ("client at ", "server at ", "server at 112/s"):  # of the best step, and of the knee
        assert label in text
    assert text.count("of ceiling") == 2


def test_the_report_command_puts_several_results_on_one_page(docker: FakeDocker, tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        assert main(["run", "-H", docker.host, "-n", "30", "--json", str(file)]) == 0
    page = tmp_path / "x.html"
    assert main(["report", *map(str, files), "-o", str(page)]) == 0
    assert checked(page.read_text()).text.count("creates per second") == 2
    assert len(data_of(page.read_text())) == 2


def test_a_file_that_is_not_there_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "no.json"), "-o", str(tmp_path / "x.html")]) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 45, [0, 10, 20, 30, 40]),
        (0, 250, [0, 50, 100, 150, 200, 250]),
        (3, 7, [3, 4, 5, 6, 7]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert linear_ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1, 20, [1, 2, 5, 10, 20]), (15, 40, [20]), (1, 10_000, [1, 10, 100, 1000, 10_000]), (0, 0, [1, 2, 5, 10])],
)
def test_ticks_of_a_logarithm_are_powers_of_ten(low: float, high: float, expected: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("is_log", [False, True])
def test_what_lies_outside_is_drawn_at_the_edge(is_log: bool) -> None:
    axis = Axis("x", 1, 10, str, is_log=is_log)
    figure = Figure(axis, axis, title="t")
    assert figure.x(-5) == figure.x(1) < figure.x(5) < figure.x(10) == figure.x(50)
    assert figure.y(1) > figure.y(10)  # up is less in SVG


def test_every_text_of_a_figure_is_escaped() -> None:
    axis = Axis("<x>", 0, 1, lambda value: f"<{value}>")
    figure = Figure(axis, axis, title="<t>")
    figure.line([(0, 0), (1, 1)], "a", title="<l>", is_step=True)
    figure.band([(0, 0, 1), (1, 0, 1)], "a", title="<b>")
    figure.bar(0, 1, 1, "a", title="<r>")
    figure.dot(1, 1, "a", title="<d>")
    figure.rule(1, "a", title="<v>")
    titles = [element.text for element in ElementTree.fromstring(figure.text()).iter("title")]
    assert titles == ["<l>", "<b>", "<r>", "<d>", "<v>"]


def test_the_sample_report_is_what_its_data_looks_like_now() -> None:
    page = SAMPLE.read_text(encoding="utf-8")
    # To publish a change of the page: write what is compared here to that file, and take the picture beside it anew.
    assert page == html_text([doc.decode(json.dumps(data).encode()) for data in data_of(page)])
