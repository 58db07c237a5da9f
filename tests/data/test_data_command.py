"""isoloss data, from the outside: what it prints with --json, for people, and when it is misused.

    test_data_command.py ISOLOSS
"""
import json
import os
import subprocess
import sys
import tempfile

program = os.path.abspath(sys.argv[1])
cases = failures = 0


def check(condition, what):
    global cases, failures
    cases += 1
    failures += not condition
    print('%sok %d - %s' % ('' if condition else 'not ', cases, what), flush=True)


with tempfile.TemporaryDirectory(prefix='isoloss-test-') as folder:
    environment = dict(os.environ, XDG_CACHE_HOME=folder, NO_COLOR='1')

    def data(*arguments):
        return subprocess.run([program, 'data', *arguments], cwd=folder, env=environment, capture_output=True, text=True)

    def refused(code, words, *arguments):
        result = data(*arguments)
        fine = result.returncode == code and result.stdout == '' and all(word in result.stderr for word in words)
        check(fine, 'refused: ' + ' '.join(arguments))
        if not fine:
            print('# %d %s %s' % (result.returncode, result.stdout, result.stderr))

    for i in range(60):
        with open(os.path.join(folder, 'text-%02d.txt' % i), 'w') as file:
            file.write('\n'.join('Line %d of text %d.' % (line, i) for line in range(40)))

    empty = data('list', '--json')
    check(empty.returncode == 0 and json.loads(empty.stdout) == [], 'an empty cache is an empty list')

    first = data('prepare', '--files', 'text-*.txt', '--json')
    check(first.returncode == 0, 'prepares files')
    made = json.loads(first.stdout)
    check(len(made) == 1 and made[0]['built'] and made[0]['vocabulary'] == 257, 'says what it made')
    digest = made[0]['digest']
    again = json.loads(data('prepare', '--files', 'text-*.txt', '--json').stdout)
    check(again[0]['digest'] == digest and not again[0]['built'], 'does nothing the second time')

    listed = json.loads(data('list', '--json').stdout)
    check([entry['digest'] for entry in listed] == [digest], 'lists it')
    check(listed[0]['documents'] == 60 and listed[0]['size'] > 2 * listed[0]['train_tokens'], 'with documents and size')
    check(digest in data('list').stdout, 'lists it for people')

    shown = json.loads(data('show', digest[:6], '--verify', '--json').stdout)
    check(shown['digest'] == digest and shown['verified'] is True, 'shows it by the beginning of its digest')
    check(shown['manifest']['tokenizer']['name'] == 'bytes', 'with its manifest')
    check(' of text ' in shown['sample'] and shown['sample'].count('\n') <= 10, 'and some lines of text')
    check('"digest": "%s"' % digest in data('show', '--files', 'text-*.txt').stdout, 'shows it by its fields')

    synthetic = json.loads(data('show', 'zipfmem', '--set', 'corpus.zipfmem_epsilon=0.1', '--json').stdout)
    check(abs(synthetic['manifest']['irreducible_loss'] - 0.7394) < 1e-4, 'shows a synthetic source')
    check('->' in synthetic['sample'], 'with its records')

    spec = os.path.join(folder, 'spec.yaml')
    with open(spec, 'w') as file:
        file.write('experiment: x\nsweep:\n  - grid: {corpus.source: [zipfmem, markov2]}\n'
                   'base: {model: {context: 3, layers: 1, width: 16}, train: {batch_tokens: 3072, steps: 1}}\n')
    of_spec = data('prepare', spec, '--json')
    check(of_spec.returncode == 0 and len(json.loads(of_spec.stdout)) == 2, 'prepares the corpora of a spec')
    if of_spec.returncode:
        print('# ' + of_spec.stderr)

    refused(2, ['which action?'], )
    refused(2, ["no action 'shwo'", "did you mean 'show'?"], 'shwo')
    refused(2, ['one argument too many'], 'show', 'a', 'b')
    refused(2, ['no corpus in the cache begins with 00000000'], 'show', '00000000')
    refused(2, ['not prepared'], 'show', 'kjv')
    refused(2, ['did you mean'], 'prepare', '--source', 'markov')
    refused(2, ['nothing matches'], 'prepare', '--files', 'no-*.txt', '--json')
    refused(2, ['no field', 'corpus.zipfmem_ids'], 'prepare', '--set', 'corpus.zipfmen_ids=3')
    refused(2, ['corpus.validation_fraction'], 'prepare', '--validation-fraction', '0.9')
    refused(2, ['spec'], 'prepare', 'missing-spec.yaml')

print('1..%d' % cases)
sys.exit(1 if failures else 0)
