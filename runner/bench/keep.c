// What the store keeps of a measurement.
#include "results/store.h"
#include "runner/bench/bench.h"

bool bench_keep(const struct bench *bench, enum bench_suite suite, const char *document, struct error *error) {
  const char *name = bench->options.processes > 1 ? "sharing" : bench_suite_name(suite);
  struct store *store = store_open_home(STORE_CREATE, error);
  if (!store) return false;
  bool fine = store_begin(store, error) && store_benchmark_put(store, NULL, name, document, error);
  for (size_t i = 0; i < bench->count && fine; i++) {
    const struct bench_row *row = &bench->rows[i];
    if (!row->model || row->processes > 1) continue;
    struct corpus_facts facts = {0};
    struct throughput throughput = {.backend = bench->ops->name,
                                    .source = "bench",
                                    .config = row->model,
                                    .flops_per_token = config_quantities(row->model, &facts).flops_per_token,
                                    .tokens_per_second = row->rate};
    fine = store_throughput_put(store, &throughput, error);
  }
  if (fine)
    fine = store_commit(store, error);
  else
    store_rollback(store);
  if (fine && bench->options.progress) fprintf(bench->options.progress, "bench: kept in %s\n", store_path(store));
  store_close(store);
  return fine;
}
