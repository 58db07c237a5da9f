"""The folders' direction: a source file includes only from its own folder and from those below it (docs/design.md).
Also: what binds the two programs (the trainer knows neither GSL nor SQLite nor YAML). TAP output."""
import os
import re
import sys

ORDER = ['base', 'kernels', 'trainer', 'results', 'fitting', 'plots', 'runner']
# fitting sees tables only; results needs of the trainer just the table of fields.
ONLY = {'fitting': {'base', 'fitting'}}
FORBIDDEN = {
    'base': r'gsl/|sqlite3|dnnl|cuda', 'kernels': r'gsl/|sqlite3|yaml', 'trainer': r'gsl/|sqlite3|yaml',
    'results': r'gsl/|yaml\.h|dnnl', 'fitting': r'sqlite3|dnnl', 'plots': r'dnnl',
}


def includes(path):
    with open(path, encoding='utf-8') as lines:
        for number, line in enumerate(lines, 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
            if found:
                yield number, found.group(1), found.group(2)


def faults(root):
    for folder in ORDER:
        for parent, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if not name.endswith(('.c', '.h', '.cpp', '.cu', '.cuh')):
                    continue
                path = os.path.join(parent, name)
                for number, bracket, target in includes(path):
                    place = '%s:%d' % (os.path.relpath(path, root), number)
                    first = target.split('/')[0]
                    if bracket == '"' and first in ORDER:
                        allowed = ONLY.get(folder, set(ORDER[:ORDER.index(folder) + 1]))
                        if first not in allowed:
                            yield '%s: %s/ must not include "%s"' % (place, folder, target)
                        if folder == 'results' and first in ('trainer', 'kernels') and target != 'trainer/config.h':
                            yield '%s: of the trainer results/ may include trainer/config.h only' % place
                    if bracket == '<' and re.search(FORBIDDEN.get(folder, '$^'), target):
                        yield '%s: %s/ must not include <%s>' % (place, folder, target)


root = sys.argv[1]
found = list(faults(root))
for fault in found:
    print('#', fault)
print('%sok 1 - includes go downwards' % ('not ' if found else ''))

# The check itself must be able to fail: a planted fault in a made-up tree is found.
import tempfile
with tempfile.TemporaryDirectory() as made_up:
    os.makedirs(os.path.join(made_up, 'base'))
    os.makedirs(os.path.join(made_up, 'fitting'))
    with open(os.path.join(made_up, 'base', 'low.h'), 'w') as out:
        out.write('#include "base/error.h"\n#  include "runner/commands.h"\n')
    with open(os.path.join(made_up, 'fitting', 'fit.c'), 'w') as out:
        out.write('#include "results/store.h"\n#include <sqlite3.h>\n')
    planted = list(faults(made_up))
print('%sok 2 - planted faults are found' % ('' if len(planted) == 3 else 'not '))
print('1..2')
sys.exit(1 if found or len(planted) != 3 else 0)
