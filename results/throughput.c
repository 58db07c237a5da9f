// How fast this host trains: measured by finished runs and benchmarks, asked for by time estimates.
#include <math.h>
#include <string.h>

#include "results/store_internal.h"

bool store_throughput_put(struct store *store, const struct throughput *t, struct error *error) {
  sqlite3_stmt *s = store_statement(
      store,
      "INSERT OR REPLACE INTO throughput (host, backend, source, dtype, format, threads, layers, "
      "width, heads, kv_heads, "
      "mlp_width, vocabulary, context, batch_tokens, flops_per_token, tokens_per_second, measured_at, settings) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
      error);
  if (!s) return false;
  struct arena scratch = {0};
  const struct run_config *c = t->config;
  bind_text(s, 1, t->host ? t->host : store_host(&scratch));
  bind_text(s, 2, t->backend);
  bind_text(s, 3, t->source);
  bind_text(s, 4, c->model.dtype);
  bind_text(s, 5, config_format_name(c, &scratch));
  arena_free(&scratch);
  const int64_t shape[] = {c->train.threads,    c->model.layers,   c->model.width,
                           c->model.heads,      c->model.kv_heads, c->model.mlp_width,
                           c->model.vocabulary, c->model.context,  c->train.batch_tokens};
  for (int i = 0; i < 9; i++) sqlite3_bind_int64(s, i + 6, shape[i]);
  sqlite3_bind_double(s, 15, t->flops_per_token);
  sqlite3_bind_double(s, 16, t->tokens_per_second);
  sqlite3_bind_double(s, 17, clock_wall());
  struct text settings = {0};
  config_speed_settings(c, &settings);
  bind_text(s, 18, text_string(&settings));
  text_free(&settings);
  return store_step_done(store, s, "writing a measured speed", error);
}

// A measured point: size of the model and what it computes, both in logarithms.
struct speed_point {
  double size;  // log FLOPs per token
  double rate;  // log FLOP/s
};

bool store_throughput_estimate(struct store *store, const char *backend, const struct run_config *config,
                               double flops_per_token, double *tokens_per_second, struct error *error) {
  struct arena scratch = {0};
  double threads = (double)config->train.threads;
  struct text settings = {0};
  config_speed_settings(config, &settings);
  struct value values[] = {store_text(store_host(&scratch)),
                           store_text(backend),
                           store_text(config->model.dtype),
                           store_text(config_format_name(config, &scratch)),
                           store_number(threads),
                           store_text(arena_string(&scratch, text_string(&settings)))};
  text_free(&settings);
  // Under the same settings. The format's own measurements where there are any, else those of full precision; runs
  // (measured with every slot busy) before benchmarks of the same shape.
  struct store_rows *rows = store_select(
      store,
      "SELECT flops_per_token AS size, coalesce(avg(CASE WHEN source = 'run' THEN tokens_per_second END), "
      "avg(tokens_per_second)) AS rate FROM throughput "
      "WHERE host = ?1 AND backend = ?2 AND dtype = ?3 AND threads = ?5 AND settings = ?6 AND flops_per_token > 0 AND "
      "tokens_per_second > 0 AND format = coalesce((SELECT format FROM throughput WHERE host = ?1 AND backend = ?2 AND "
      "dtype = ?3 AND threads = ?5 AND settings = ?6 AND format = ?4 LIMIT 1), 'none') GROUP BY flops_per_token ORDER BY flops_per_token",
      values, 6, error);
  struct speed_point below = {NAN, NAN}, above = {NAN, NAN};
  double size = log(flops_per_token);
  while (rows && isnan(above.size) && store_rows_next(rows, error)) {
    double flops = store_rows_value(rows, 0).number, rate = store_rows_value(rows, 1).number;
    struct speed_point point = {log(flops), log(flops * rate)};
    if (point.size <= size) below = point;
    if (point.size >= size) above = point;
  }
  store_rows_close(rows);
  arena_free(&scratch);
  if (isnan(below.size) && isnan(above.size)) return false;
  double rate = isnan(below.size)   ? above.rate
                : isnan(above.size) ? below.rate
                : above.size > below.size
                    ? below.rate + (above.rate - below.rate) * (size - below.size) / (above.size - below.size)
                    : below.rate;
  *tokens_per_second = exp(rate) / flops_per_token;
  return true;
}
