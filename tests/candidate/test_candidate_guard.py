"""What somebody's code does beside computing: printing, ending the program, changing what is not its own."""

from __future__ import annotations

import builtins
import os
import random
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as nn_module
from torchvision.models import resnet

from layerdiff.candidate.fingerprint import fingerprint, replaced, undo
from layerdiff.candidate.guard import foreign
from layerdiff.candidate.settings import changes, read_settings
from layerdiff.errors import InputError


@pytest.fixture
def unchanged(folder):
    """Fails a test after which any setting or function is not as it was before."""
    functions, settings = fingerprint(), read_settings()
    yield
    swapped, changed = replaced(functions), changes(settings)
    undo(swapped)
    for change in changed:
        change.undo()
    assert [swap.name for swap in swapped] == []
    assert [change.text for change in changed] in ([], ["environment variables (PYTEST_CURRENT_TEST)"])


def run_foreign(code):
    """Runs `code` as somebody's forward pass; gives the notes, or the lines of the error."""
    try:
        with foreign("net.py:Net", "forward pass") as watched:
            exec(code, {"torch": torch, "nn": nn, "F": F, "np": np, "os": os, "sys": sys})
    except InputError as error:
        return [str(error), *getattr(error, "__notes__", ())]
    return list(watched.notes)


FLOATS = "NumPy's handling of floating-point errors (divide, invalid, over)"

HARMLESS = {
    "torch.manual_seed(42)": "torch's seed (from {seed} to 42)",
    "np.random.seed(42)": "NumPy's random state",
    "import random; random.seed(42)": "Python's random state",
    "torch.set_grad_enabled(False)": "torch's gradient mode (from True to False)",
    "torch.set_num_threads(2)": "torch's number of threads (from 1 to 2)",
    "torch.backends.cudnn.benchmark = True": "cuDNN's benchmark mode (from False to True)",
    "torch.backends.cudnn.deterministic = True": "cuDNN's deterministic mode (from False to True)",
    "torch.backends.cudnn.enabled = False": "cuDNN's use (from True to False)",
    "torch.backends.mkldnn.enabled = False": "oneDNN's use (from True to False)",
    "np.seterr(all='ignore')": FLOATS,
    "os.environ['SOME_NAME'] = '1'; del os.environ['HOME']": "environment variables (HOME, SOME_NAME)",
    "os.mkdir('deep'); os.chdir('deep')": "the current folder (from {cwd} to {cwd}/deep)",
    "sys.setrecursionlimit(5000)": "the recursion limit (from {limit} to 5000)",
    "sys.path.append('lib')": "sys.path",
    "import warnings; warnings.filterwarnings('ignore')": "the warnings filters",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)": "the handler of SIGINT",
    "torch.Tensor.__repr__ = lambda self: 'x'": "torch.Tensor.__repr__",
    "import builtins; builtins.print = len": "builtins.print",
    "sys.path.append('a'); np.seterr(all='ignore')": f"{FLOATS}, sys.path",
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("code", HARMLESS, ids=list(HARMLESS))
def test_harmless_changes_are_put_back_and_told(code):
    """What tutorials set all the time is put back, and one note names it all."""
    what = HARMLESS[code].format(seed=torch.initial_seed(), cwd=os.getcwd(), limit=sys.getrecursionlimit())  # noqa: PTH109

    assert run_foreign(code) == [f"net.py:Net: its forward pass changed {what}; put back"]


HARMFUL = {
    "torch.set_default_dtype(torch.float64)": "torch's default dtype (from torch.float32 to torch.float64) changed",
    "torch.set_default_device('meta')": "torch's default device (from cpu to meta) changed",
    "torch.use_deterministic_algorithms(True)": "torch's deterministic mode changed",
    "torch.set_flush_denormal(True)": "the flushing of denormal numbers (from False to True) changed",
    "torch.set_autocast_enabled('cpu', True)": "torch's autocast on the CPU (from False to True) changed",
    "torch.nn.modules.module.register_module_forward_hook(print)": "hooks on every module of the process changed",
    "F.relu = F.gelu": "torch.nn.functional.relu was replaced",
    "del F.relu": "torch.nn.functional.relu was replaced",
    "F.relu.__code__ = (lambda input, inplace=False: input).__code__": "torch.nn.functional.relu was replaced",
    "F.relu.__defaults__ = (True,)": "torch.nn.functional.relu was replaced",
    "F.interpolate.__kwdefaults__ = {'a': 1}": "torch.nn.functional.interpolate was replaced",
    "torch.add = torch.sub": "torch.add was replaced",
    "torch.float32 = torch.float64": "torch.float32 was replaced",
    "torch.Tensor.__add__ = torch.Tensor.__sub__": "torch.Tensor.__add__ was replaced",
    "torch.Tensor.relu_ = torch.Tensor.relu": "torch.Tensor.relu_ was replaced",
    "nn.Conv2d.__call__ = lambda self, x: x": "torch.nn.modules.conv.Conv2d.__call__ was replaced",
    "nn.Module.__call__ = lambda self, x: x": "torch.nn.modules.module.Module.__call__ was replaced",
    "nn.BatchNorm2d = nn.InstanceNorm2d": "torch.nn.BatchNorm2d was replaced",
    "nn.Conv2d.forward = lambda self, x: x": "torch.nn.modules.conv.Conv2d.forward was replaced",
    "nn.modules.conv._ConvNd.reset_parameters = None":
        "torch.nn.modules.conv._ConvNd.reset_parameters was replaced",
    "nn.modules.batchnorm._BatchNorm.forward = lambda self, x: x":
        "torch.nn.modules.batchnorm._BatchNorm.forward was replaced",
    "np.maximum = np.minimum": "numpy.maximum was replaced",
    "import builtins; builtins.sum = max": "builtins.sum was replaced",
    "from torchvision.models import resnet; resnet.Bottleneck.expansion = 2":
        "torchvision.models.resnet.Bottleneck.expansion was replaced",
    "from torchvision.models import resnet; resnet.conv1x1 = resnet.conv3x3":
        "torchvision.models.resnet.conv1x1 was replaced",
}  # fmt: skip


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("code", HARMFUL, ids=list(HARMFUL))
def test_harmful_changes_are_put_back_and_refused(code):
    """What every network here computes with is put back, and whoever changed it is not judged."""
    assert run_foreign(code) == [
        "net.py:Net: its forward pass changes what every network here computes with, got 1 change, expected none",
        f"note: {HARMFUL[code]}",
        "help: leave them out, or undo them where they are made: the expected network runs in the same process",
    ]


PRECISIONS = [
    "torch.set_float32_matmul_precision('medium')",
    "torch.backends.mkldnn.conv.fp32_precision = 'bf16'",
    "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    "torch.backends.mkldnn.fp32_precision = 'bf16'",
    "torch.backends.fp32_precision = 'tf32'",
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("code", PRECISIONS)
def test_every_way_to_lower_the_precision_is_seen(code):
    """However float32 is made less precise, it is put back and refused."""
    first, *notes = run_foreign(code)

    assert first.startswith("net.py:Net: its forward pass changes what every network here computes with, got")
    assert any("precision" in note for note in notes[:-1])


@pytest.mark.usefixtures("unchanged")
def test_all_changes_are_named_at_once():
    """Several harmful changes are all named, functions and settings, each once."""
    lines = run_foreign(
        "F.relu = F.gelu; torch.add = 5; torch.set_default_dtype(torch.float64); np.seterr(all='ignore')"
    )

    assert lines[0].endswith("got 3 changes, expected none")
    assert len(lines) == 5


@pytest.mark.usefixtures("unchanged")
def test_filters_of_single_warnings_are_not_told():
    """What many an import does to the warnings filters is put back without a word."""
    before = list(warnings.filters)

    assert run_foreign("import warnings; warnings.filterwarnings('ignore', message='x', category=UserWarning)") == []
    assert list(warnings.filters) == before


@pytest.mark.usefixtures("unchanged")
def test_additions_are_no_harm():
    """Names that are added to a library replace nothing."""
    code = "np.some_new_name = float; nn.some_new_name = 1; torch.Tensor.some_new_name = 1"

    assert run_foreign(code) == []
    for owner in (np, nn, torch.Tensor):
        delattr(owner, "some_new_name")


@pytest.mark.usefixtures("unchanged")
def test_changes_are_put_back_after_an_exception():
    """An exception passes as it is; everything is put back all the same, and the harm is noted on it."""
    watch = foreign("net.py:Net", "forward pass")
    with pytest.raises(ZeroDivisionError) as caught, watch as watched:
        exec("F.relu = None; np.seterr(all='ignore'); 1 / 0", {"F": F, "np": np})

    assert caught.value.__notes__ == ["note: torch.nn.functional.relu was replaced"]
    assert watched.notes == (f"net.py:Net: its forward pass changed {FLOATS}; put back",)


@pytest.mark.usefixtures("unchanged")
def test_an_interruption_passes():
    """Whoever interrupts is not answered with an error about the candidate."""
    with pytest.raises(KeyboardInterrupt), foreign("net.py:Net", "forward pass"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("code", "got"),
    [("exit()", ""), ("quit(3)", "3"), ("import sys; sys.exit('bye')", "'bye'"), ("raise SystemExit(0)", "0")],
    ids=["exit", "quit", "sys.exit", "SystemExit"],
)
@pytest.mark.usefixtures("unchanged")
def test_ending_the_program_is_refused(write, refusal, code, got):
    """`exit` in whatever form, while importing or building, is an error and not the end, with its line."""
    write(f"{code}\n")
    help_ = "help: put what a program does under: if __name__ == '__main__'"
    assert refusal() == [
        f"net.py: its import ends the program, got exit({got}) at net.py:3, expected it to go on",
        help_,
    ]

    write(f"def build():\n    {code}\n")
    assert refusal("net.py:build") == [
        f"net.py:build: its building ends the program, got exit({got}) at net.py:4, expected it to go on",
        help_,
    ]


def test_parsing_arguments_does_not_see_ours(write, load, monkeypatch):
    """A file that parses arguments when it is imported gets none, and ours are as they were."""
    monkeypatch.setattr(sys, "argv", ["layerdiff", "run", "--actual", "net.py"])
    write("import argparse\nargparse.ArgumentParser().parse_args()\nnet = nn.Sequential(nn.ReLU())\n")

    assert load().name == "net.py:net"
    assert sys.argv == ["layerdiff", "run", "--actual", "net.py"]


def test_endless_recursion_is_refused(write, refusal):
    """A call without end, while importing or building."""
    write("def again():\n    return again()\nagain()\n")
    assert refusal() == [
        "net.py: its import calls itself without end, got RecursionError: maximum recursion depth exceeded at net.py:4"
    ]

    write("def build():\n    return build()\n")
    assert refusal("net.py:build")[0].startswith("net.py:build: its building calls itself without end, got Recursion")


HUGE = {
    "[0] * 10**15": "got MemoryError: no message",
    "torch.empty(10**15)": "got RuntimeError: ",
    "__import__('numpy').empty(10**15)": "got MemoryError: Unable to allocate",
}


@pytest.mark.parametrize("code", HUGE, ids=["Python", "torch", "NumPy"])
def test_running_out_of_memory_is_refused(write, refusal, code):
    """Whoever asks for more memory than there is, by whichever library."""
    write(f"def build():\n    return {code}\n")

    first, help_ = refusal("net.py:build")
    assert first.startswith(f"net.py:build: its building ran out of memory, {HUGE[code]}")
    assert first.endswith(" at net.py:4")
    assert help_ == "help: judge less at once: --batch 1, a smaller --size, or --until"


def test_other_errors_of_torch_are_not_memory():
    """A RuntimeError that is not about memory passes as it is."""
    with pytest.raises(RuntimeError, match="shapes"), foreign("net.py:Net", "forward pass"):
        raise RuntimeError("shapes do not fit")


PRINTS = {
    "print('some', 'words')": ("some words\n", 1),
    "print('one\\ntwo')": ("one\ntwo\n", 2),
    "print('no end', end='')": ("no end", 1),
    "import sys; sys.stdout.write('a\\n'); sys.stdout.buffer.write('ü\\n'.encode())": ("a\nü\n", 2),
    "import sys; sys.stdout.reconfigure(encoding='latin-1', errors='replace'); print('x')": ("x\n", 1),
    "import io, sys; sys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8'); print('x')": ("x\n", 1),
    "import sys; sys.stderr = sys.stdout; print('x', file=sys.stderr)": ("x\n", 1),
    "import os; os.write(1, b'x\\n')": ("x\n", 0),
    "import os; os.system('echo x')": ("x\n", 0),
    "import subprocess; subprocess.run(['echo', 'x'])": ("x\n", 0),
    "import subprocess, sys; subprocess.run(['echo', 'x'], stdout=sys.stdout)": ("x\n", 0),
    "import ctypes; ctypes.CDLL(None).printf(b'x\\n')": ("x\n", 0),
    "import sys; sys.__stdout__.write('x\\n'); sys.__stdout__.flush()": (None, 0),
    "import sys; print('x'); sys.stdout.close()": ("x\n", 1),
}


@pytest.mark.parametrize("code", PRINTS, ids=list(PRINTS))
def test_what_is_printed_goes_to_stderr(write, load, capfd, code):
    """Python, C and subprocesses print to stderr, stdout stays clean, and a note counts what Python printed."""
    text, lines = PRINTS[code]
    write(f"{code}\nnet = nn.Sequential(nn.ReLU())\n")
    print("before")

    notes = load("net.py:net").notes
    print("after")

    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    if text is not None:
        assert err == text
    counted = {0: (), 1: ("net.py: its import printed 1 line, which went to stderr",)}
    assert notes == counted.get(lines, (f"net.py: its import printed {lines} lines, which went to stderr",))


def test_streams_are_restored(write, refusal, capfd):
    """A file that replaces all streams and then fails leaves ours as they were, open; its stdin is empty."""
    before = sys.stdin, sys.stdout, sys.stderr
    write("import io, sys\nsys.stdout = sys.stderr = io.StringIO()\nprint('hidden')\ninput()\n")

    lines = refusal()

    assert (sys.stdin, sys.stdout, sys.stderr) == before
    assert not any(stream.closed for stream in before)
    assert lines[0] == "net.py: does not import, got EOFError: EOF when reading a line"
    assert capfd.readouterr() == ("", "")


def test_a_debugger_does_not_wait(write, refusal):
    """`breakpoint()` in a file finds nobody to talk to, and ends."""
    write(
        "import os\nos.environ.pop('PYTHONBREAKPOINT', None)\nimport pdb\npdb.Pdb(nosigint=True).set_trace()\nx = 1\n"
    )

    assert refusal()[0] == "net.py: does not import, got BdbQuit: no message"


def test_what_is_still_held_goes_where_it_belongs():
    """Prints that Python or C still hold back at either end of a block come out on their own side of it."""
    code = (
        "import ctypes, sys\n"
        "from layerdiff.candidate.streams import Printed, stdout_to_stderr\n"
        "print('ours')\n"
        "with stdout_to_stderr(Printed(sys.stderr)):\n"
        "    sys.__stdout__.flush()\n"
        "    ctypes.CDLL(None).printf(b'theirs\\n')\n"
    )
    held = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, env=held)

    assert (done.stdout, done.stderr) == ("ours\n", "theirs\n")


def test_closed_descriptors_stay_closed():
    """Where stdin or stderr is closed, somebody's prints go nowhere, and they are closed afterwards too."""
    code = (
        "import os, sys\n"
        "from layerdiff.candidate.streams import Printed, stdout_to_stderr\n"
        "os.close(0); os.close(2)\n"
        "sys.stderr = None\n"
        "printed = Printed(sys.stderr)\n"
        "with stdout_to_stderr(printed):\n"
        "    print('lost'); os.write(1, b'lost')\n"
        "for closed in (0, 2):\n"
        "    try: os.fstat(closed)\n"
        "    except OSError: continue\n"
        "    print(closed, 'is open')\n"
        "print(printed.lines)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "1\n"


def test_one_block_within_another(capfd):
    """Blocks may be nested: the inner one's prints are its own, and the outer one goes on as before."""
    with foreign("outer.py", "judgement") as outer:
        print("a")
        with foreign("inner.py", "forward pass") as inner:
            print("b\nc")
        print("d")

    assert capfd.readouterr() == ("", "a\nb\nc\nd\n")
    assert inner.notes == ("inner.py: its forward pass printed 2 lines, which went to stderr",)
    assert outer.notes == ("outer.py: its judgement printed 2 lines, which went to stderr",)


@pytest.mark.usefixtures("unchanged")
def test_the_folder_that_was_removed(folder):
    """Code that removes the folder it is in does not break the putting back."""
    (folder / "deep").mkdir()

    notes = run_foreign("os.chdir('deep'); os.rmdir(os.getcwd())")

    assert notes == [f"net.py:Net: its forward pass changed the current folder (from {folder} to None); put back"]


def test_an_import_that_changes_the_dtype(write, refusal):
    """The commonest harm: a file that sets the default dtype, and a builder that patches a layer."""
    write("torch.set_default_dtype(torch.float64)\ndef build():\n    nn.ReLU.forward = None\n    return nn.ReLU()\n")
    assert refusal("net.py:build")[0].startswith("net.py: its import changes what every network here computes with")

    write("def build():\n    nn.ReLU.forward = None\n    return nn.ReLU()\n")
    lines = refusal("net.py:build")
    assert lines[0].startswith("net.py:build: its building changes what every network here computes with")
    assert lines[1] == "note: torch.nn.modules.activation.ReLU.forward was replaced"
    assert nn.ReLU.forward is not None


def test_nothing_is_left_to_restore():
    """The names that these tests replace are those of the libraries."""
    assert F.relu is not F.gelu
    assert builtins.sum([1, 2]) == 3
    assert resnet.Bottleneck.expansion == 4
    assert not nn_module._global_forward_hooks
    assert torch.get_default_dtype() is torch.float32
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    assert random.random() < 1
    assert ("ignore", None, Warning, None, 0) not in warnings.filters
