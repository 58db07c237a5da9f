"""The folders' direction: a source file includes only from its own folder and from those below it (docs/design.md).
Also: what binds the two programs (the trainer knows neither GSL nor SQLite nor YAML). TAP output."""
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, path_of, scratch, write  # noqa: E402

ORDER = ['base', 'kernels', 'trainer', 'results', 'fitting', 'plots', 'runner']
# The rooms of runner/. bench stands beside them: it calls the lowest, and commands alone calls it. On top stand main.c,
# commands.h and commands.c, which only commands/ and main.c include.
RUNNER = ['terminal', 'spec', 'plan', 'execute', 'slurm', 'live', 'fits', 'report', 'commands']
ROOMS = {room: set(RUNNER[:place + 1]) for place, room in enumerate(RUNNER)}
ROOMS['bench'] = {'terminal', 'bench'}
ROOMS['commands'] |= {'bench', ''}
ROOMS[''] = set(ROOMS) | {''}
# fitting sees tables only; results needs of the trainer just the table of fields.
# What the store may know of the trainer: its tables of fields and of tasks.
TABLES = ('trainer/config.h', 'trainer/stages/results.h', 'trainer/tasks/task.h')
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


def room_of(path):
    """'spec' of runner/spec/grid.h, '' of runner/main.c."""
    return path.split('/')[1] if path.count('/') > 1 else ''


def faults(root):
    for folder in ORDER:
        for parent, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if not name.endswith(('.c', '.h', '.cpp', '.cu', '.cuh')):
                    continue
                path = os.path.join(parent, name)
                room = room_of(os.path.relpath(path, root))
                for number, bracket, target in includes(path):
                    place = '%s:%d' % (os.path.relpath(path, root), number)
                    first = target.split('/')[0]
                    if bracket == '"' and first in ORDER:
                        allowed = ONLY.get(folder, set(ORDER[:ORDER.index(folder) + 1]))
                        if first not in allowed:
                            yield '%s: %s/ must not include "%s"' % (place, folder, target)
                        if folder == 'results' and first in ('trainer', 'kernels') and target not in TABLES:
                            yield '%s: of the trainer results/ may include %s only' % (place, ', '.join(TABLES))
                    if bracket == '"' and folder == 'runner' and first == 'runner' and \
                            room_of(target) not in ROOMS.get(room, set()):
                        yield '%s: runner/%s must not include "%s"' % (place, room, target)
                    if bracket == '<' and re.search(FORBIDDEN.get(folder, '$^'), target):
                        yield '%s: %s/ must not include <%s>' % (place, folder, target)


found = list(faults(sys.argv[1]))
check(not found, 'includes go downwards', *found)

# The check itself must be able to fail: a planted fault in a made-up tree is found.
os.makedirs(path_of('base'))
os.makedirs(path_of('fitting'))
write('base/low.h', '#include "base/error.h"\n#  include "runner/commands.h"\n')
write('fitting/fit.c', '#include "results/store.h"\n#include <sqlite3.h>\n')
check(len(list(faults(scratch))) == 3, 'planted faults are found')
for room, target in ('spec', 'plan/grid.h'), ('bench', 'spec/spec.h'), ('fits', 'commands.h'), ('report', 'bench/bench.h'), \
        ('unheard_of', 'terminal/terminal.h'):
    before = len(list(faults(scratch)))
    os.makedirs(path_of('runner/' + room))
    write('runner/%s/fault.c' % room, '#include "runner/%s"\n' % target)
    check(len(list(faults(scratch))) == before + 1, 'a planted fault in runner/%s is found' % room)
before = len(list(faults(scratch)))
os.makedirs(path_of('runner/commands'))
write('runner/commands/fine.c', '#include "runner/commands.h"\n#include "runner/bench/bench.h"\n')
check(len(list(faults(scratch))) == before, 'commands/ includes what is below it')

# `ls runner/commands` is the command line: one file for each command of the table, by its name.
with open(os.path.join(sys.argv[1], 'runner/commands.c'), encoding='utf-8') as table:
    named = {name.replace(' ', '_') for name in re.findall(r'^\s*\{"([\w ]+)", command_', table.read(), re.M)}
files = {name[:-2] for name in os.listdir(os.path.join(sys.argv[1], 'runner/commands')) if name.endswith('.c')}
check(len(named) > 15 and named <= files, 'every command has a file of its name', *sorted(named - files))
finish()
