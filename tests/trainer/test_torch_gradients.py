"""Loss and every gradient against PyTorch: the float32 trainer agrees with tests/benchmarks/torch_llama.py to 1e-5 in the loss
and 1e-4 (relative) in each tensor. torch_gradients.py ISOLOSS_TRAIN MAKE_RUN TORCH_LLAMA; exit code 77 without torch."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, path_of  # noqa: E402

trainer, make_run, script = sys.argv[1:4]
COMMON = ['train.batch_tokens=192', 'train.accumulation=2', 'train.steps=3', 'train.warmup_steps=1',
          'model.dtype=float32', 'model.init_std=0.08']
CASES = {
    'plain': ['corpus.source=markov2', 'model.layers=2', 'model.width=64', 'model.context=32'],
    'grouped heads, odd width': ['corpus.source=markov2', 'model.layers=3', 'model.width=48', 'model.context=24',
                                 'model.heads=3', 'model.kv_heads=1'],
    'tied head': ['corpus.source=markov2', 'model.layers=1', 'model.width=32', 'model.context=96',
                  'model.tied_head=true'],
    'masked targets': ['corpus.source=zipfmem', 'corpus.zipfmem_ids=4096', 'corpus.zipfmem_symbols=16',
                       'model.layers=2', 'model.width=32', 'model.context=3'],
}
for name, pairs in CASES.items():
    run, out = path_of(name), path_of(name + ' gradients')
    subprocess.run([make_run, run, *COMMON, *pairs], check=True)
    subprocess.run([trainer, '--dump-gradients', out, os.path.join(run, 'config.json')], check=True)
    done = subprocess.run([sys.executable, script, 'compare', out], capture_output=True, text=True)
    if done.returncode == 77:
        print('skipped:', done.stderr.strip())
        sys.exit(77)
    check(done.returncode == 0, name, done.stdout + done.stderr)
finish()
