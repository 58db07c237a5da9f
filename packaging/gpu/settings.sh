# What check.sh runs on a GPU: models as make-run takes them, micro-batches in tokens, and limits in seconds. Their sum,
# with those of the tests, is below 25 minutes.
device=cuda
tests='first-contact cases device graphs training formats native'
test_limit=90
model_13='model.layers=6 model.width=256 model.context=1024 model.vocabulary=32000'
model_50='model.layers=10 model.width=512 model.context=1024 model.vocabulary=32000'
model_124='model.layers=12 model.width=768 model.context=1024 model.vocabulary=50304'
same_model="$model_13 train.batch_tokens=16384"
eval_tokens=4096
same_steps=60
same_limit=40
speed_models='13 50 124'
speed_batches='16384 65536 131072'
speed_steps=100000
speed_seconds=12
speed_limit=45
bench_options='--rows 16384 --context 1024 --width 768 --vocabulary 50304 --seconds 0.2'
bench_limit=120
pack_runs=4
pack_seconds=20
sanitize_tests='cases device'
sanitize_limit=60
