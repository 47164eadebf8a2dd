"""Somebody's code in a child process: too slow, crashed, or gone; and nothing of it is left running.

The children here do without torch, so that each takes a moment only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from layerdiff.candidate import stages, supervise
from layerdiff.candidate.supervise import supervised
from layerdiff.errors import InputError

PRELUDE = (
    "import os, signal, subprocess, sys, threading, time; from pathlib import Path; "
    "from layerdiff.candidate.stages import at, finished, heartbeat, is_supervised, stage; is_supervised(); "
)
COMMAND = (sys.executable, "-P", "-c", PRELUDE + "exec(sys.argv[1])")
"""Runs the code that it is given as its argument."""

LONG = 60.0


def refusal(code, timeout=LONG):
    """The lines of the error that supervising `code` raises."""
    with pytest.raises(InputError) as caught:
        supervised([code], timeout, command=COMMAND)
    return [str(caught.value), *getattr(caught.value, "__notes__", ())]


def wait_until(condition):
    """Waits until something is so, and fails when that takes unreasonably long."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to be")


def is_running(pid):
    """Whether a process lives; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_the_exit_code_is_the_childs(code):
    """The exit code that the child tells is the command's."""
    assert supervised([f"finished({code}); sys.exit({code})"], LONG, command=COMMAND) == code


def test_streams_and_arguments_are_inherited():
    """The child reads our stdin, and writes to our stdout and stderr; arguments pass as they are."""
    code = (
        "import sys; from layerdiff.candidate.supervise import supervised; "
        f"sys.exit(supervised(sys.argv[1:], 60, command={COMMAND!r}))"
    )
    child = "print(sys.stdin.read(), sys.argv[2:]); print('fine', file=sys.stderr); finished(3)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, child, "a b", "--c"],
        input="hello", capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (3, "hello ['a b', '--c']\n", "fine\n")


def test_the_command_itself_is_run_by_default(capfd):
    """Without another command it is this one, which tells its own end, also when it fails."""
    assert supervised(["--version"], LONG) == 0
    assert supervised(["run", "--actual", "nonsense"], LONG) == 2

    out, err = capfd.readouterr()
    assert out.startswith("python -m layerdiff, version ")
    assert ": not a network, got 'nonsense', expected" in err.splitlines()[0]


LOOPS = {
    "Python": "while True: pass",
    "C": "import ctypes; ctypes.PyDLL(None).sleep(1000)",
    "sleep": "time.sleep(1000)",
    "signals ignored": "[signal.signal(n, signal.SIG_IGN) for n in (2, 15)]\nwhile True: pass",
    "everything caught": "while True:\n try: time.sleep(1000)\n except BaseException: pass",
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "our pipe closed": "os.closerange(3, 100)\nwhile True: pass",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_what_takes_too_long_is_stopped(loop, tmp_path, monkeypatch):
    """A loop in Python or C, with signals ignored or our pipe closed: it is killed, and the stage is named."""
    monkeypatch.chdir(tmp_path)
    code = f"Path('pid').write_text(str(os.getpid()))\nstage('import', of='net.py')\n{LOOPS[loop]}"

    assert refusal(code, 0.5) == [
        "net.py: its import took longer than 0.5 s, and was stopped",
        "help: --timeout SECONDS gives it longer; does it loop for ever, or train?",
    ]
    assert not is_running((tmp_path / "pid").read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]


def test_our_own_work_may_take_its_time():
    """Only somebody else's code is timed: not the start, not our own stages, and nothing without a timeout."""
    code = (
        "time.sleep(0.7); stage('download of the weights'); time.sleep(0.7)\n"
        "with at('import', of='net.py'): pass\n"
        "time.sleep(0.7); finished(0)"
    )
    assert supervised([code], 0.5, command=COMMAND) == 0
    assert supervised(["stage('import', of='net.py'); time.sleep(0.3); finished(0)"], None, command=COMMAND) == 0


def test_a_heartbeat_is_a_new_start():
    """A judgement may take longer than the timeout, as long as each of its layers does not."""
    code = "stage('judgement', of='net.py')\nfor i in range(6): time.sleep(0.3); heartbeat(f'layer{i}')\nfinished(0)"

    assert supervised([code], 1.5, command=COMMAND) == 0


def test_the_layer_of_the_last_heartbeat_is_named():
    """A judgement that stops at a layer, or dies there, says at which; a new stage forgets it."""
    begin = "stage('judgement', of='net.py:build'); heartbeat('conv1'); heartbeat('layer1.0.add'); "

    assert refusal(begin + "time.sleep(1000)", 0.5)[0] == (
        "net.py:build: its judgement took longer than 0.5 s at layer1.0.add, and was stopped"
    )
    assert refusal(begin + "os._exit(0)") == [
        "net.py:build: its judgement at layer1.0.add ended the process with status 0, expected a result"
    ]
    assert refusal(begin + "stage('forward pass', of='net.py:build'); os._exit(0)") == [
        "net.py:build: its forward pass ended the process with status 0, expected a result"
    ]


MEMORY = "help: was it out of memory? judge less at once: --batch 1, a smaller --size, or --until"
ENDS = {
    "os._exit(0)": ["ended the process with status 0, expected a result"],
    "os._exit(3)": ["ended the process with status 3, expected a result"],
    "sys.exit(0)": ["ended the process with status 0, expected a result"],
    "import ctypes; ctypes.string_at(0)": ["was killed by SIGSEGV, expected a result"],
    "os.abort()": ["was killed by SIGABRT, expected a result"],
    "os.kill(os.getpid(), signal.SIGKILL)": ["was killed by SIGKILL, expected a result", MEMORY],
    "os.kill(os.getpid(), 40)": ["was killed by signal 40, expected a result"],
    "os.execvp('true', ['true'])": ["ended the process with status 0, expected a result"],
    "os.closerange(3, 100); finished(0)": ["ended the process with status 0, expected a result"],
    "os.fork() or finished(0); os.wait(); os._exit(0)": ["ended the process with status 0, expected a result"],
}


@pytest.mark.parametrize("end", ENDS, ids=list(ENDS))
def test_whoever_ends_the_process_is_named(end):
    """A process that ends without telling that it is done has no result, whatever its status."""
    first, *notes = refusal(f"stage('building', of='net.py:build'); {end}")

    assert [first.removeprefix("net.py:build: its building "), *notes] == ENDS[end]


def test_an_end_is_ours_only_with_the_token():
    """What somebody writes on our pipe, be it nonsense or a false end, is not taken for the end."""
    lines = b'["end", "0000", 0]\nnonsense\n[]\n["end"]\n5\n["stage", 1, 2]\n\xff\n'
    code = f"stage('import', of='net.py'); os.write(stages._line()._descriptor, {lines!r}); os._exit(0)"

    assert refusal("from layerdiff.candidate import stages; " + code) == [
        "net.py: its import ended the process with status 0, expected a result"
    ]


def test_the_stage_before_comes_back():
    """After a block the stage around it is the current one again."""
    code = "with at('judgement', of='a.py'):\n with at('forward pass', of='b.py'): pass\n {}\n{}"

    assert refusal(code.format("os._exit(1)", ""))[0].startswith("a.py: its judgement ended")
    assert refusal(code.format("", "os._exit(1)"))[0].startswith("layerdiff: its start ended")


def test_the_mark_is_not_handed_on(capfd):
    """What the child starts is not taken for supervised, and does not get the pipe."""
    inner = "print(is_supervised(), [fd for fd in range(3, 50) if os.path.exists(f'/dev/fd/{fd}')])"
    code = (
        f"print(is_supervised(), os.environ.get('{stages.ENVIRONMENT}'), flush=True)\n"
        f"subprocess.run([*{COMMAND!r}, {inner!r}], close_fds=False)\n"
        "finished(0)"
    )
    assert supervised([code], LONG, command=COMMAND) == 0

    assert capfd.readouterr().out == "True None\nFalse []\n"


def test_without_a_supervisor_nothing_happens(capfd):
    """In a process that nobody supervises every call does nothing."""
    stages.stage("import", of="net.py")
    stages.heartbeat("conv1")
    with stages.at("import", of="net.py"):
        stages.finished(0)

    assert not stages.is_supervised()
    assert capfd.readouterr() == ("", "")


@linux
@pytest.mark.parametrize("end", ["finished(0)", "time.sleep(1000)", "os._exit(0)"])
def test_nothing_is_left_running(end, tmp_path, monkeypatch):
    """Processes that somebody's code started are gone with it, however it ends."""
    monkeypatch.chdir(tmp_path)
    code = f"Path('pid').write_text(str(subprocess.Popen(['sleep', '1000']).pid)); stage('import', of='net.py'); {end}"

    if end == "finished(0)":
        assert supervised([code], LONG, command=COMMAND) == 0
    else:
        assert refusal(code, 0.5)

    wait_until(lambda: not is_running((tmp_path / "pid").read_text()))


def test_a_thread_that_goes_on_does_not_hold_us_up(monkeypatch):
    """Once the result is out, a thread or an exit handler that never ends is not waited for."""
    monkeypatch.setattr(supervise, "_GRACE", 0.2)
    code = "threading.Thread(target=time.sleep, args=(1000,)).start(); print('result'); finished(1)"

    assert supervised([code], LONG, command=COMMAND) == 1


def test_in_another_thread(tmp_path):
    """Supervising works in a thread that may not handle signals."""
    code = (
        "import threading; from layerdiff.candidate.supervise import supervised\n"
        f"t = threading.Thread(target=lambda: print(supervised(['finished(5)'], 60, command={COMMAND!r})))\n"
        "t.start(); t.join()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("5\n", "")


SUPERVISOR = (
    "import sys\n"
    "from layerdiff.candidate import supervise\n"
    "supervise._GRACE = float(sys.argv[2])\n"
    f"try: sys.exit(supervise.supervised(sys.argv[1:2], 60, command={COMMAND!r}))\n"
    "except KeyboardInterrupt: sys.exit('interrupted')\n"
)


@pytest.fixture
def supervisor(tmp_path):
    """Starts a supervisor of `code` in an empty folder, and waits until the child wrote its process id to `pid`."""
    started = []

    def start(code, grace=10.0):
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", SUPERVISOR, code, str(grace)],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        wait_until(lambda: process.poll() is not None or (tmp_path / "pid").exists())
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=60)


READY = "Path('new').write_text(str(os.getpid())); os.replace('new', 'pid'); "


@linux
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)])
def test_an_interrupted_file_is_not_left_half_written(supervisor, tmp_path, number, status):
    """Ctrl-C or SIGTERM while the child writes its output: its temporary file is gone, and so is the child."""
    code = (
        "from layerdiff.compare.saved import write_file\n"
        f"def replace(*paths): {READY} time.sleep(1000)\n"
        "Path.replace = replace\n"
        "write_file(Path('run.json'), b'{}')"
    )
    process = supervisor(code)
    assert len(list(tmp_path.iterdir())) == 2

    process.send_signal(number)

    assert process.wait() == status
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]
    assert not is_running((tmp_path / "pid").read_text())


@linux
def test_an_interruption_that_the_child_tells(supervisor, tmp_path):
    """A child that ends itself when interrupted, with 130, has said so: nothing more is said."""
    process = supervisor(
        f"try: {READY} time.sleep(1000)\nexcept KeyboardInterrupt: print('error: interrupted', file=sys.stderr); "
        "finished(130)"
    )
    process.send_signal(signal.SIGINT)

    assert process.wait() == 130
    assert process.stderr.read() == "error: interrupted\n"
    assert not is_running((tmp_path / "pid").read_text())


@linux
def test_an_interruption_after_the_result_changes_nothing(supervisor):
    """A child that was done, and only had not ended, was not interrupted: its exit code stands."""
    process = supervisor(
        f"signal.signal(signal.SIGINT, signal.SIG_IGN); finished(0); {READY} time.sleep(1000)", grace=1.0
    )
    process.send_signal(signal.SIGINT)

    assert process.wait() == 0
    assert process.stderr.read() == ""


@linux
def test_whoever_ignores_an_interruption_is_killed(supervisor, tmp_path):
    """A child that catches Ctrl-C and goes on has a moment, and no more."""
    process = supervisor(f"signal.signal(signal.SIGINT, signal.SIG_IGN); {READY} time.sleep(1000)", grace=0.2)
    process.send_signal(signal.SIGINT)

    assert process.wait() == 1
    assert process.stderr.read() == "interrupted\n"
    assert not is_running((tmp_path / "pid").read_text())


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_child_does_not_outlive_its_supervisor(supervisor, tmp_path, number):
    """A supervisor that is terminated, hung up on or killed takes the child along, and dies of that signal."""
    process = supervisor(f"{READY} time.sleep(1000)", grace=0.2)
    process.send_signal(number)

    assert process.wait() == -number
    wait_until(lambda: not is_running((tmp_path / "pid").read_text()))


def test_our_handlers_are_put_back():
    """The handlers of SIGTERM and SIGHUP are afterwards as they were, and one that is not the default is left."""

    def mine(*_):
        pass

    signal.signal(signal.SIGHUP, mine)
    try:
        supervised(["finished(0)"], LONG, command=COMMAND)
        assert signal.getsignal(signal.SIGHUP) is mine
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_no_descriptor_is_left_open():
    """Supervising closes what it opens, also after an error."""
    before = set(os.listdir("/dev/fd"))  # noqa: PTH208
    supervised(["finished(0)"], LONG, command=COMMAND)
    refusal("os._exit(0)")

    assert set(os.listdir("/dev/fd")) == before  # noqa: PTH208
