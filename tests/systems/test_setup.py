"""./setup, ./quickstart and ./runtests on systems made up of stand-in programs: which packages they ask for, what they
build without, what they refuse. test_setup.py SOURCE_FOLDER. TAP output."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, finish, path_of, write  # noqa: E402

source = sys.argv[1]
TOOLS = ['sh', 'cat', 'sed', 'grep', 'mktemp', 'dirname', 'rm', 'tail', 'touch', 'mkdir']
# A preprocessor that knows the headers in the folder $HEADERS; ninja that prints what the real one does.
PROGRAMS = {
    'c++': 'while read -r line; do name=${line#*<}; cat "$HEADERS/${name%>*}" || exit 1; done',
    'gcc': '', 'g++': '', 'pkg-config': '', 'python3': 'exec %s "$@"' % sys.executable, 'id': 'echo 0',
    'meson': 'echo "meson $*" >> "$LOG"\n[ "$1" != setup ] || mkdir -p build && : > build/build.ninja\n'
             '[ "$1" != test ] || { mkdir -p build/meson-logs; printf "%s" "$RESULTS" > build/meson-logs/testlog.json; }',
    'ninja': 'echo "ninja: Entering directory"\nfor i in 1 2 3 4 5 6 7 8; do echo "[$i/8] Compiling"; done\n'
             'echo "a warning"\nexit ${NINJA_EXIT:-0}',
    'apt-get': 'echo "apt-get $*" >> "$LOG"\nfor word in $*; do case $word in '
               'libdnnl-dev) mkdir -p "$HEADERS/oneapi/dnnl"; : > "$HEADERS/oneapi/dnnl/dnnl.h";; esac; done',
    'gnuplot': '', 'isoloss': '', 'nvcc': '',
}
HEADERS = ['stdio.h', 'yaml.h', 'sqlite3.h', 'gsl/gsl_math.h', 'oneapi/dnnl/dnnl.h', 'lapacke.h', 'jansson.h', 'xxhash.h',
           'sentencepiece_processor.h', 'microhttpd.h', 'kissfft/kissfft.hh']
home, tools, headers = path_of('tree'), path_of('bin'), path_of('headers')


def log_read():
    with open(path_of('log'), encoding='utf-8') as log:
        return log.read()


def system(identity, without=()):
    """A fresh tree and machine; `without` names programs and headers that it lacks."""
    for folder in home, tools, headers:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    for name in 'setup', 'quickstart', 'runtests':
        shutil.copy(os.path.join(source, name), home)
    for tool in TOOLS:
        os.symlink(shutil.which(tool), os.path.join(tools, tool))
    for name, body in PROGRAMS.items():
        if name not in without:
            write('bin/' + name, '#!/bin/sh\n%s\n' % body)
            os.chmod(path_of('bin/' + name), 0o755)
    for name in HEADERS:
        if name not in without:
            os.makedirs(os.path.dirname(os.path.join(headers, name)), exist_ok=True)
            write('headers/' + name, 'EncodeAsImmutableProto();\n' if 'sentencepiece' in name else '')
    write('os-release', identity)
    write('log', '')


def call(script, *words, results='', **more):
    environment = {'PATH': tools, 'LOG': path_of('log'), 'HEADERS': headers, 'RESULTS': results,
                   'ISOLOSS_OS_RELEASE': path_of('os-release'), **more}
    done = subprocess.run(['/bin/sh', os.path.join(home, script), *words], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, log_read()


BOOKWORM, JAMMY, OTHER = 'ID=debian\nVERSION_ID="12"\n', 'ID=ubuntu\nVERSION_ID="22.04"\n', 'ID=fedora\nVERSION_ID=43\n'


@case
def all_there():
    system(BOOKWORM)
    code, out, log = call('setup')
    check(code == 0 and 'ready' in out and 'apt-get' not in log, out, log)
    check('building, 50 %' in out and 'building, 100 %' in out and 'a warning' in out and '[1/8]' not in out, 'progress and warnings', out)
    check('werror' not in log, 'warnings are no errors for users', log)
    check('optional' not in out, 'nothing is missed', out)
    code, out, log = call('setup')
    check(log.count('meson') == 1, 'configured once', log)
    code, out, log = call('setup', '--werror')
    check('meson configure build -Dwerror=true' in log, log)


@case
def a_failed_build_fails():
    system(BOOKWORM)
    code, out, log = call('setup', NINJA_EXIT='1')
    check(code == 1 and 'setup: building' in out and 'ready' not in out, out)


@case
def installs_by_the_system():
    system(BOOKWORM, ['oneapi/dnnl/dnnl.h', 'pkg-config', 'gnuplot'])
    code, out, log = call('setup')
    check('install -y -q --no-install-recommends pkgconf libdnnl-dev gnuplot-nox\n' in log, log)
    check(code == 3, 'what is still not there after that is an error', out)
    system(JAMMY, ['pkg-config'])
    check('--no-install-recommends pkg-config\n' in call('setup')[2], 'another name on Ubuntu 22.04')
    system(BOOKWORM, ['oneapi/dnnl/dnnl.h'])
    code, out, log = call('setup')
    check(code == 0 and 'ready' in out, out, log)


@case
def builds_without_what_is_optional():
    system(OTHER, ['gnuplot', 'sentencepiece_processor.h', 'nvcc'])
    code, out, log = call('setup')
    line = next((line for line in out.splitlines() if 'optional' in line), '')
    check(code == 0 and 'sentencepiece' in line and 'gnuplot' in line, out)
    check('apt-get' not in log, 'no packages on a system that is not known', log)
    # sentencepiece came, too old: still without. Then a newer one: the build folder is configured anew.
    write('headers/sentencepiece_processor.h', 'Encode();\n')
    code, out, log = call('setup')
    check('sentencepiece 0.1.97 or newer' in out and 'reconfigure' not in log, out, log)
    write('headers/sentencepiece_processor.h', 'EncodeAsImmutableProto();\n')
    code, out, log = call('setup')
    check('sentencepiece' not in out and 'meson setup --reconfigure build' in log, out, log)


@case
def what_a_system_has_too_old_is_not_installed():
    system(JAMMY, ['sentencepiece_processor.h'])
    code, out, log = call('setup')
    check(code == 0 and 'without: sentencepiece 0.1.97 or newer' in out and 'apt-get' not in log, out, log)
    system(BOOKWORM, ['sentencepiece_processor.h'])
    check('install -y -q --no-install-recommends libsentencepiece-dev\n' in call('setup')[2], 'elsewhere it is')


@case
def refuses_what_is_needed():
    system(OTHER, ['oneapi/dnnl/dnnl.h', 'jansson.h', 'lapacke.h'])
    code, out, log = call('setup')
    check(code == 3 and 'oneDNN 2.2 to 3.x' in out and 'jansson 2.13' in out and 'SQLite' not in out, out)
    check('LAPACK 3.4 or newer with its C interface' in out, out)
    check('meson' not in log, log)
    system(BOOKWORM, ['jansson.h'])
    code, out, log = call('setup', '--no-install')
    check(code == 3 and 'apt-get install --no-install-recommends libjansson-dev' in out and 'conda-forge' in out, out)
    check('apt-get' not in log, log)
    # Neither root nor sudo.
    write('bin/id', '#!/bin/sh\necho 1000\n')
    code, out, log = call('setup')
    check(code == 3 and 'libjansson-dev' in out and 'apt-get' not in log, out, log)


@case
def help_only_helps():
    system(BOOKWORM, ['oneapi/dnnl/dnnl.h'])
    for script in 'setup', 'quickstart', 'runtests':
        code, out, log = call(script, '--help')
        check(code == 0 and './' + script in out and log == '', script, out, log)
        check(not os.path.exists(os.path.join(home, 'build')), script + ' builds nothing')
    code, out, log = call('quickstart', '--suite')
    check(code == 2 and 'unknown option' in out and log == '', out)


@case
def no_test_is_no_success():
    system(BOOKWORM)
    code, out, log = call('runtests', '--suite', 'nosuch')
    check(code == 1 and 'no test ran' in out and 'passed' not in out, out)
    results = ''.join('{"result": "%s"}\n' % result for result in ('OK', 'OK', 'SKIP'))
    code, out, log = call('runtests', '--werror', '--suite', 'unit', results=results)
    check(code == 0 and out.endswith('2 passed, 0 failed, 1 skipped\n'), out)
    check('meson test -C build --no-rebuild --print-errorlogs --timeout-multiplier 4 --no-suite slurm --no-suite systems --suite unit' in log and 'werror' in log, log)


finish()
