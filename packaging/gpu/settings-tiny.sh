# The same for the emulated device of the test suite: as small as it gets.
device=cuda
tests='first-contact'
test_limit=200
model_1='model.layers=1 model.width=32 model.context=16'
same_model="$model_1 train.batch_tokens=32"
eval_tokens=64
same_steps=6
same_limit=200
speed_models='1'
speed_batches='32'
speed_steps=8
speed_seconds=60
speed_limit=200
bench_options='--rows 32 --context 16 --width 32 --vocabulary 67 --seconds 0.001'
bench_limit=200
pack_runs=2
pack_seconds=60
sanitize_tests=''
sanitize_limit=10
