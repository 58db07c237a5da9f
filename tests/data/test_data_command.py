"""isoloss data, from the outside: what it prints with --json, for people, and when it is misused.

    test_data_command.py ISOLOSS
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, no_result, run, write  # noqa: E402


def data(*arguments):
    return run('data', *arguments)


def refused(code, words, *arguments):
    done = data(*arguments)
    check(done.code == code and no_result(done.out, arguments) and all(word in done.err for word in words),
          'refused: ' + ' '.join(arguments), *done)


for i in range(60):
    write('text-%02d.txt' % i, '\n'.join('Line %d of text %d.' % (line, i) for line in range(40)))

empty = data('list', '--json')
check(empty.code == 0 and json.loads(empty.out) == [], 'an empty cache is an empty list')

first = data('prepare', '--files', 'text-*.txt', '--json')
check(first.code == 0, 'prepares files')
made = json.loads(first.out)
check(len(made) == 1 and made[0]['built'] and made[0]['vocabulary'] == 257, 'says what it made')
digest = made[0]['digest']
again = json.loads(data('prepare', '--files', 'text-*.txt', '--json').out)
check(again[0]['digest'] == digest and not again[0]['built'], 'does nothing the second time')

listed = json.loads(data('list', '--json').out)
check([entry['digest'] for entry in listed] == [digest], 'lists it')
check(listed[0]['documents'] == 60 and listed[0]['size'] > 2 * listed[0]['train_tokens'], 'with documents and size')
check(digest in data('list').out, 'lists it for people')

shown = json.loads(data('show', digest[:6], '--verify', '--json').out)
check(shown['digest'] == digest and shown['verified'] is True, 'shows it by the beginning of its digest')
check(shown['manifest']['tokenizer']['name'] == 'bytes', 'with its manifest')
check(' of text ' in shown['sample'] and shown['sample'].count('\n') <= 10, 'and some lines of text')
check('"digest": "%s"' % digest in data('show', '--files', 'text-*.txt').out, 'shows it by its fields')

only = json.loads(data('show', 'files', '--json').out)
check(only['digest'] == digest, 'shows the only one that is prepared under a name')
other = json.loads(data('prepare', '--files', 'text-*.txt', '--validation-fraction', '0.2', '--json').out)[0]['digest']
both = data('show', 'files')
check(both.code == 0 and digest in both.out and other in both.out and 'tokenizer' in both.out and
      '2 corpora are prepared under files' in both.out, 'lists several that are prepared under a name', *both)
both = json.loads(data('show', 'files', '--json').out)
check(sorted(entry['digest'] for entry in both) == sorted([digest, other]), 'as JSON too')
synthetic = json.loads(data('show', 'zipfmem', '--set', 'corpus.zipfmem_epsilon=0.1', '--json').out)
check(abs(synthetic['manifest']['irreducible_loss'] - 0.7394) < 1e-4, 'shows a synthetic source')
check('->' in synthetic['sample'], 'with its records')

spec = write('spec.yaml', 'experiment: x\nsweep:\n  - grid: {corpus.source: [zipfmem, markov2]}\n'
             'base: {model: {context: 3, layers: 1, width: 16}, train: {batch_tokens: 3072, steps: 1}}\n')
of_spec = data('prepare', spec, '--json')
check(of_spec.code == 0 and len(json.loads(of_spec.out)) == 2, 'prepares the corpora of a spec', of_spec.err)

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

finish()
