"""Names of tests: a program of tests is test_SUBJECT, a fuzz target fuzz_SUBJECT, a benchmark bench_SUBJECT. TAP output."""
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, path_of, scratch, write  # noqa: E402


# A program that a test starts, or a file that several programs share, has a name of its own: what makes a test is that
# it reports checks.
def misnamed(folder):
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if not name.endswith(('.c', '.cpp', '.py')):
                continue
            with open(path, encoding='utf-8') as file:
                text = file.read()
            reports = re.search(r'^finish\(\)|^  return check_end\(\);', text, re.M)
            if reports and not name.startswith(('test_', 'bench_', 'fuzz_')):
                yield os.path.relpath(path, folder)
            elif re.match(r'.*_(test|fuzz|bench)\.(c|cpp|py)$', name):
                yield os.path.relpath(path, folder)


found = sorted(misnamed(os.path.join(sys.argv[1], 'tests')))
check(not found, 'tests are called test_SUBJECT', *found)
write('store_test.c', 'int main(void) { return 0; }\n')
write('events.c', 'int main(void) {\n  return check_end();\n}\n')
write('install.py', 'check(True, "")\nfinish()\n')
write('draw.c', 'int main(void) { return 0; }\n')
check(sorted(misnamed(scratch)) == ['events.c', 'install.py', 'store_test.c'], 'planted faults are found')
finish()
