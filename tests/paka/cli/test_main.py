import subprocess
import sys
from importlib.metadata import version


def test_help_names_every_command(paka):
    result = paka("--help")
    assert result.exit_code == 0
    for command in ("train", "embed", "show", "encoders"):
        assert command in result.output


def test_the_version_is_the_packages(paka):
    assert paka("--version").output.strip() == f"paka {version('paka-service')}"


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from paka.cli import app\n"
        "app(['train', '--help'], standalone_mode=False)\n"
        "print(sorted({'torch', 'timm', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
