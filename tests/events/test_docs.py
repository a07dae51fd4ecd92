import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_about_events_says_what_the_code_says():
    check = subprocess.run([sys.executable, "docs/generate_events.py", "--check"], cwd=ROOT, capture_output=True)

    assert check.returncode == 0, check.stderr.decode()
