"""The parts together, as a command has them: a light parent, a child with torch, somebody's file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMAND = """
import json, sys
import click
from layerdiff.candidate.spec import parse_spec
from layerdiff.candidate.stages import finished, is_supervised, stage
from layerdiff.candidate.supervise import supervised
from layerdiff.errors import InputError

@click.command()
@click.option("--actual")
@click.option("--timeout", type=float, default=60)
def cli(actual, timeout):
    spec = parse_spec(actual, option="actual")
    if not is_supervised():
        code = supervised(sys.argv[1:], timeout, command=(sys.executable, "-P", __file__))
        assert "torch" not in sys.modules
        return code
    stage("import of torch")
    import torch
    from layerdiff.candidate.guard import foreign
    from layerdiff.candidate.load import load_network
    loaded = load_network(spec)
    with foreign(loaded.name, "forward pass", home=loaded.home) as watched, torch.no_grad():
        shape = list(loaded.network(torch.zeros(1, 3, 32, 32)).shape)
    click.echo(json.dumps({"shape": shape, "notes": [*loaded.notes, *watched.notes], "name": loaded.name}))
    return 1

def main():
    try:
        code = cli.main(standalone_mode=False)
    except InputError as error:
        click.echo("error: " + "\\n".join((str(error), *getattr(error, "__notes__", ()))), err=True)
        code = 2
    finished(code)
    sys.exit(code)

main()
"""


@pytest.fixture
def command(tmp_path_factory, folder):
    """Runs a small command with the given options."""
    path = tmp_path_factory.mktemp("command") / "command.py"
    path.write_text(COMMAND)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-P", str(path), *arguments], capture_output=True, text=True, check=False, timeout=300
        )

    return run


def test_a_candidate_runs_in_a_child(write, command):
    """What it prints goes to stderr, the result to stdout, with our exit code; torch's own compiler is no intruder."""
    write(
        """
        import os
        import torchvision
        torch.manual_seed(0)
        print("imported")
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = torchvision.models.resnet18()
            def forward(self, x):
                os.system("echo running")
                print("running")
                return self.body(x)
        def build():
            torch.compile(nn.ReLU(), backend="eager")(torch.zeros(1))
            return torch.compile(Net())
        """
    )

    done = command("--actual", "net.py")

    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == {
        "shape": [1, 1000],
        "name": "net.py:build",
        "notes": [
            "net.py: took build for its name",
            "net.py: its import printed 1 line, which went to stderr",
            "net.py:build: took the network out of torch.compile",
            "net.py:build: its forward pass printed 1 line, which went to stderr",
        ],
    }
    assert sorted(done.stderr.split()) == ["imported", "running", "running"]


def test_a_forward_pass_that_never_ends(write, command):
    """The forward pass is stopped after the timeout, with exit code 2 and nothing on stdout."""
    write(
        """
        class Net(nn.Module):
            def forward(self, x):
                while True:
                    x = x + 1
        """
    )

    done = command("--actual", "net.py:Net", "--timeout", "5")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: net.py:Net: its forward pass took longer than 5 s, and was stopped",
        "help: --timeout SECONDS gives it longer; does it loop for ever, or train?",
    ]


def test_the_reference_is_out_of_reach(write, command):
    """A file that changes torchvision's network is found out, and its error is told once, by the child."""
    write("from torchvision.models import resnet\nresnet.conv1x1 = resnet.conv3x3\nnet = resnet.resnet18()\n")

    done = command("--actual", "net.py")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: net.py: its import changes what every network here computes with, got 1 change, expected none",
        "note: torchvision.models.resnet.conv1x1 was replaced",
        "help: leave them out, or undo them where they are made: the expected network runs in the same process",
    ]
