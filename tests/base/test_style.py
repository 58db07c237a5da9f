"""The sources are as clang-format (.clang-format) has them. TAP output; skipped where there is no clang-format, or one
whose rules may differ (not version 14)."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, path_of, write  # noqa: E402

root = sys.argv[1]
program = shutil.which('clang-format-14') or shutil.which('clang-format')
version = program and re.search(r'version (\d+)', subprocess.run([program, '--version'], capture_output=True, text=True).stdout)
if not version or version.group(1) != '14':
    print('1..0 # SKIP clang-format 14 is not installed')
    sys.exit(0)


def badly_formed(paths):
    out = subprocess.run([program, '--dry-run', '--style=file'] + paths, capture_output=True, text=True).stderr
    return re.findall(r'^(\S+:\d+):\d+: warning', out, re.M)


sources = [os.path.join(parent, name) for folder in
           ('base', 'kernels', 'trainer', 'results', 'fitting', 'plots', 'runner', 'tests')
           for parent, _, names in os.walk(os.path.join(root, folder)) for name in names
           if name.endswith(('.c', '.h', '.cpp', '.cu', '.cuh'))]
found = badly_formed(sources)
check(len(sources) > 300 and not found, 'sources are formatted (clang-format -i)', *sorted(set(found))[:20])
shutil.copy(os.path.join(root, '.clang-format'), path_of('.clang-format'))
write('fault.c', 'int f( void ){return 0;}\n')
check(badly_formed([path_of('fault.c')]), 'a planted fault is found')
finish()
