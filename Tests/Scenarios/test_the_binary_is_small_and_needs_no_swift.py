"""The release binary: no Swift library on the host, and little memory after its start."""

import re
import subprocess


def test_no_swift_library_is_needed(binary):
    listed = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
    libraries = re.findall(r"^\s*(\S+) => \S+", listed, re.MULTILINE)
    assert {"libssl.so.3", "libcrypto.so.3", "libc.so.6"} <= set(libraries)
    assert not [name for name in libraries if "swift" in name.lower() or "Foundation" in name]
    assert "not found" not in listed


def test_memory_after_the_start(serving):
    memory = serving().memory()
    assert memory["Rss"] < 24 << 20
    assert memory["Anonymous"] < 6 << 20
