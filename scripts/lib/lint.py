"""What the compiler and swift-format do not check: the floors, and the size of files and functions.

    lint.py ROOT: one line for each finding, `path:line: what`; exit 1 where there is any.
"""

import ast
import pathlib
import re
import sys

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# What each module may import: the floors. `Package.swift` draws the same plan for SwiftPM.
FLOORS = {
    "CLinux": set(),
    "Sys": {"CLinux", "Glibc", "Synchronization"},
    "HTTP1": set(),
    "Telemetry": {"Logging", "Sys", "Glibc", "Synchronization"},
    "TLS": {"Sys", "COpenSSL", "Glibc", "Synchronization"},
    "ProxyProtocol": {"Sys"},
    "Redirect": {"HTTP1", "Synchronization"},
    "Frontend": {"Sys", "TLS", "ProxyProtocol", "HTTP1", "Telemetry", "Synchronization"},
    "Discovery": {
        "CCurl", "FoundationEssentials", "Redirect", "Telemetry", "Sys", "Glibc", "Synchronization",
    },
    "vault-redirector": {
        "Frontend", "Discovery", "TLS", "ProxyProtocol", "Redirect", "Sys", "HTTP1", "Telemetry",
        "ArgumentParser", "Glibc", "Synchronization",
    },
}

IMPORT = re.compile(
    r"^[ \t]*(?:(?:@\w+(?:\([^)\n]*\))?|package|public|internal|fileprivate|private)[ \t]+)*"
    r"import[ \t]+(?:(?:struct|class|enum|protocol|func|var|let|typealias)[ \t]+)?(\w+)",
    re.MULTILINE,
)
FUNCTION = re.compile(r"\b(?:func[ \t]+(\S+?)(?=[(<\s])|(init)[?!]?(?=[(<])|(deinit)|(subscript)\b)")
STRING_START = re.compile(r'(#*)("""|")')


def blank_strings_and_comments(source: str) -> str:
    """The source, as long as before, with spaces for what is inside strings and comments."""
    output = list(source)

    def blank(start: int, end: int) -> int:
        output[start:end] = [c if c == "\n" else " " for c in source[start:end]]
        return end

    def comment(start: int) -> int:
        if source.startswith("//", start):
            end = source.find("\n", start)
            return blank(start, len(source) if end < 0 else end)
        depth, at = 0, start
        while at < len(source):
            mark = source[at : at + 2]
            depth += (mark == "/*") - (mark == "*/")
            at += 2 if mark in ("/*", "*/") else 1
            if depth == 0:
                break
        return blank(start, at)

    def string(start: int, opening: re.Match) -> int:
        hashes, quote = opening.groups()
        at = opening.end()
        while at < len(source):
            if source.startswith(quote + hashes, at):
                return blank(start, at + len(quote + hashes))
            if source.startswith("\\" + hashes + "(", at):
                at = code(at + len(hashes) + 2, until_parenthesis=True)
            else:
                at += 2 if source[at] == "\\" and not hashes else 1
        return blank(start, at)

    def code(at: int, until_parenthesis: bool = False) -> int:
        depth = 0
        while at < len(source):
            opening = STRING_START.match(source, at)
            if opening:
                at = string(at, opening)
            elif source[at : at + 2] in ("//", "/*"):
                at = comment(at)
            elif until_parenthesis and source[at] == ")" and depth == 0:
                return at + 1
            else:
                depth += (source[at] == "(") - (source[at] == ")")
                at += 1
        return at

    code(0)
    return "".join(output)


def body_end(code: str, at: int) -> int | None:
    """Where the braces of the function whose signature starts at `at` close; None without a body."""
    depth, opened = 0, False
    while at < len(code):
        character = code[at]
        if character in "([{":
            opened = opened or (character == "{" and depth == 0)
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                return None
            if depth == 0 and opened and character == "}":
                return at
        elif character == "\n" and depth == 0:
            rest = code[at:].lstrip()
            if not rest.startswith(("{", "->", "throws", "async", "rethrows", "where")):
                return None
        at += 1
    return None


def swift_functions(code: str):
    """Name, first and last line of every function, initialiser and subscript with a body."""
    for match in FUNCTION.finditer(code):
        end = body_end(code, match.end())
        if end is not None:
            name = next(group for group in match.groups() if group)
            yield name, code.count("\n", 0, match.start()) + 1, code.count("\n", 0, end) + 1


def python_functions(source: str):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno


def findings(path: pathlib.Path, module: str | None):
    source = path.read_text(errors="replace")
    lines = source.count("\n")
    if lines > FILE_LINES_MAX:
        yield 1, f"{lines} lines, more than {FILE_LINES_MAX}"
    functions = []
    if path.suffix == ".swift":
        code = blank_strings_and_comments(source)
        functions = swift_functions(code)
        for match in IMPORT.finditer(code) if module else ():
            if match[1] not in FLOORS.get(module, set()):
                yield code.count("\n", 0, match.start(1)) + 1, f"{module} may not import {match[1]}"
    elif path.suffix == ".py":
        functions = python_functions(source)
    for name, first, last in functions:
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, f"{name} has {last - first + 1} lines, more than {FUNCTION_LINES_MAX}"


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    found = 0
    for top in ("Sources", "Tests", "scripts"):
        for path in sorted((root / top).rglob("*")):
            if not path.is_file() or "Fixtures" in path.parts or "__pycache__" in path.parts:
                continue
            scripts = ("", ".sh") if top == "scripts" else ()
            if path.suffix not in (".swift", ".c", ".h", ".py", *scripts):
                continue
            module = path.relative_to(root).parts[1] if top == "Sources" else None
            for line, what in findings(path, module):
                print(f"{path.relative_to(root)}:{line}: {what}")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
