// The events of a training run; docs/events.md says what each field means.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/version.h"
#include "kernels/fast_dct.h"
#include "kernels/formats/format.h"
#include "kernels/lapack.h"
#include "trainer/gradient_exchange.h"
#include "trainer/moment_formats.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/search_budget.h"
#include "trainer/stages/stage.h"
#include "trainer/training.h"

static void put_parameters(struct json_writer *json, const struct parameter_counts *p) {
  json_key(json, "parameters");
  json_object_begin(json);
  json_key_integer(json, "embedding", p->embedding);
  json_key_integer(json, "head", p->head);
  json_key_integer(json, "attention", p->attention);
  json_key_integer(json, "mlp", p->mlp);
  json_key_integer(json, "norms", p->norms);
  json_key_integer(json, "total", p->total);
  json_key_integer(json, "non_embedding", p->non_embedding);
  json_key_integer(json, "prunable", p->prunable);
  json_object_end(json);
}

static void put_memory(struct json_writer *json, const struct memory_plan *memory) {
  json_key(json, "memory");
  json_object_begin(json);
  json_key_integer(json, "parameters", memory->parameters);
  json_key_integer(json, "gradients", memory->gradients);
  json_key_integer(json, "moments", memory->moments);
  json_key_integer(json, "prepared", memory->prepared);
  json_key_integer(json, "activations", memory->activations);
  json_key_integer(json, "workspace", memory->workspace);
  json_key_integer(json, "batch", memory->batch);
  json_key_integer(json, "total", memory->total);
  json_object_end(json);
}

// Numbers that may not exist are left out.
static void put_finite(struct json_writer *json, const char *key, double value) {
  if (isfinite(value)) json_key_number(json, key, value);
}

bool report_start(struct training *t, struct error *error) {
  const struct run_config *c = &t->file.config;
  struct parameter_counts parameters = config_kept_parameters(c);
  struct text device = {0};
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  t->ops->describe(t->device, &device);
  const struct stage *stage = stage_find(c->stage);
  const char *libraries = stage && stage->libraries ? stage->libraries(c, &t->arena) : NULL;
  if (!libraries && optimizer_of(c)->by_lapack) libraries = lapack_library(&t->arena);
  if (libraries) text_format(&device, "; %s", libraries);
  if (optimizer_transforms(c)) text_format(&device, "; %s", fast_dct_library());
  struct json_writer *json = event_begin(&t->log, "start");
  json_key_string(json, "trainer", "isoloss-train " ISOLOSS_VERSION);
  json_key_integer(json, "semantic_version", config_version(c));
  json_key_string(json, "id", t->file.id);
  if (t->file.config.stage) {
    json_key_string(json, "stage", t->file.config.stage);
    json_key_string(json, "parent", t->file.parent);
  }
  json_key_integer(json, "time", (int64_t)time(NULL));
  json_key_integer(json, "pid", getpid());
  json_key_string(json, "host", host);
  json_key_integer(json, "resumed_from", t->resumed_from);
  if (t->trunk_step) {
    json_key_string(json, "trunk", t->file.trunk);
    json_key_integer(json, "trunk_step", t->trunk_step);
    json_key_number(json, "trunk_seconds", t->done.seconds);
  }
  json_key_integer(json, "steps", t->steps);
  json_key_string(json, "backend", t->ops->name);
  json_key_string(json, "device", text_string(&device));
  json_key_string(json, "libraries", machine_libraries(&t->arena));
  json_key_string(json, "dtype", c->model.dtype);
  json_key_integer(json, "threads", c->train.threads);
  if (t->product_peak > 0) json_key_number(json, "product_peak", t->product_peak);
  put_parameters(json, &parameters);
  if (t->model) put_memory(json, &t->model->memory);  // a stage has one after the other
  json_key_string(json, "corpus", corpus_digest(t->corpus));
  text_free(&device);
  return event_end(&t->log, error);
}

static bool sparse(const struct run_config *c) {
  return c->parsed_format && c->parsed_format->operands[OPERAND_WEIGHTS].sparsity.kind != SPARSITY_NONE;
}

// The share of the time that the model's products alone would have taken at the device's measured peak (as LLMQ has it:
// Schultheis & Alistarh 2025). Products of formats are counted as those of the run's dtype, so that FP8 may exceed 1.
static void put_speed_of_light(struct json_writer *json, const struct training *t, double tokens_per_second) {
  if (!(t->product_peak > 0)) return;
  double flops = config_quantities(&t->file.config, &t->facts).flops_per_token;
  put_finite(json, "speed_of_light", tokens_per_second * flops / t->product_peak);
}

bool report_step(struct training *t, struct error *error) {
  const struct run_config *c = &t->model->config;
  double train_seconds = training_train_seconds(t), span = train_seconds - t->reported_seconds;
  struct json_writer *json = event_begin(&t->log, "step");
  json_key_integer(json, "step", t->last.step);
  json_key_integer(json, "tokens", t->last.tokens);
  json_key_integer(json, "targets", t->last.targets);
  json_key_number(json, "loss", t->last_loss);
  json_key_number(json, "grad_norm", t->last_norm);
  json_key_number(json, "lr", t->last.lr);
  json_key_number(json, "seconds", training_seconds(t));
  if (sparse(c)) json_key_number(json, "active_parameters", config_active_parameters(c, t->last.step - 1));
  double rate = span > 0 ? (double)(t->last.tokens - t->reported_tokens) / span : NAN;
  json_key_number(json, "tokens_per_second", rate);
  put_speed_of_light(json, t, rate);
  t->reported_seconds = train_seconds;
  t->reported_tokens = t->last.tokens;
  return event_end(&t->log, error);
}

struct json_writer *report_metrics_begin(struct training *t) {
  struct json_writer *json = event_begin(&t->log, "metrics");
  json_key_integer(json, "step", t->done.step);
  json_key_integer(json, "tokens", t->done.tokens);
  return json;
}

bool report_exchange(struct training *t, struct error *error) {
  struct gradient_exchange_told told;
  if (!t->model->exchange) return true;
  if (!gradient_exchange_tell(t->model->exchange, &told, error)) return false;
  if (!isfinite(told.error)) return true;  // before this worker's first step, and of gradients that are all 0
  struct json_writer *json = report_metrics_begin(t);
  json_key_number(json, "gradient_compression_error", told.error);
  json_key_number(json, "gradient_bytes", told.bytes);
  return event_end(&t->log, error);
}

bool report_moments(struct training *t, struct error *error) {
  struct moment_formats_result result;
  if (!t->model->moment_formats) return true;
  if (!moment_formats_result(t->model->moment_formats, &result, error)) return false;
  if (!isfinite(result.first_error) && !isfinite(result.second_error)) return true;  // before this worker's first step
  struct json_writer *json = report_metrics_begin(t);
  const struct {
    const char *key;
    double value;
  } numbers[] = {{"first_moment_error", result.first_error},
                 {"second_moment_error", result.second_error},
                 {"first_moment_bits", result.first_bits},
                 {"second_moment_bits", result.second_bits}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (isfinite(numbers[i].value)) json_key_number(json, numbers[i].key, numbers[i].value);
  return event_end(&t->log, error);
}

void report_parts(struct json_writer *json, const struct evaluation *evaluation) {
  char key[32];
  for (int i = 0; i < evaluation->parts; i++) {
    snprintf(key, sizeof key, "loss_source_%d", i + 1);
    put_finite(json, key, evaluation->part_loss[i]);
  }
}

static bool put_evaluation(struct training *t, const char *name, const struct evaluation *evaluation,
                           struct error *error) {
  struct json_writer *json = event_begin(&t->log, name);
  json_key_integer(json, "step", t->done.step);
  json_key_integer(json, "tokens", t->done.tokens);
  json_key_number(json, "loss", evaluation->loss);
  json_key_integer(json, "eval_tokens", evaluation->tokens);
  json_key_integer(json, "eval_targets", evaluation->targets);
  put_finite(json, "oracle_loss", evaluation->oracle_loss);
  report_parts(json, evaluation);
  json_key_number(json, "seconds", training_seconds(t));
  return event_end(&t->log, error);
}

bool report_evaluation(struct training *t, const struct evaluation *evaluation, struct error *error) {
  return put_evaluation(t, "eval", evaluation, error);
}

bool report_branch_evaluation(struct training *t, const struct evaluation *evaluation, struct error *error) {
  return put_evaluation(t, TRUNK_EVALUATION, evaluation, error);
}

bool report_checkpoint(struct training *t, struct error *error) {
  struct json_writer *json = event_begin(&t->log, "checkpoint");
  json_key_integer(json, "step", t->done.step);
  json_key_integer(json, "tokens", t->done.tokens);
  json_key_string(json, "path", checkpoint_name(&t->arena, t->done.step));
  return event_end(&t->log, error);
}

bool report_done(struct training *t, const struct evaluation *evaluation, struct error *error) {
  struct run_quantities quantities = config_quantities(&t->file.config, &t->facts);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  struct json_writer *json = event_begin(&t->log, "done");
  json_key_integer(json, "step", t->done.step);
  // N, D and C of a chain are those of its training; what a further one took is among its settings.
  bool first = !t->file.config.stage;
  if (first) json_key_integer(json, "tokens", t->done.tokens);
  if (first) json_key_integer(json, "targets", t->done.targets);
  json_key_number(json, "loss", evaluation->loss);
  json_key_integer(json, "eval_tokens", evaluation->tokens);
  json_key_integer(json, "eval_targets", evaluation->targets);
  put_finite(json, "bits_per_byte", evaluation->bits_per_byte);
  put_finite(json, "oracle_loss", evaluation->oracle_loss);
  report_parts(json, evaluation);
  put_finite(json, "irreducible_loss", t->facts.irreducible_loss);
  if (first) put_finite(json, "epochs", quantities.epochs);
  if (first) json_key_number(json, "flops", quantities.flops);
  json_key_number(json, "parameters_active", quantities.active_parameters);
  if (first) json_key_number(json, "parameters_active_average", quantities.average_active_parameters);
  json_key_number(json, "wall_seconds", training_seconds(t));
  json_key_number(json, "train_seconds", training_train_seconds(t));
  put_speed_of_light(json, t, (double)t->done.tokens / training_train_seconds(t));
  json_key_integer(json, "peak_memory", (int64_t)usage.ru_maxrss * 1024);
  json_key_string(json, "checkpoint", checkpoint_name(&t->arena, t->checkpointed));
  struct text choices = {0};
  if (t->ops->choices) t->ops->choices(t->device, &choices);
  if (choices.length) json_key_string(json, "choices", text_string(&choices));
  text_free(&choices);
  return event_end(&t->log, error);
}

bool report_diverged(struct training *t, const struct pending_step *step, double grad_norm, const char *what,
                     struct error *error) {
  struct json_writer *json = event_begin(&t->log, "diverged");
  json_key_integer(json, "step", step->step);
  json_key_integer(json, "tokens", step->tokens);
  json_key_number(json, "loss", NAN);
  json_key_number(json, "grad_norm", grad_norm);
  json_key_string(json, "message", what);
  return event_end(&t->log, error) && event_log_sync(&t->log, error);
}

bool report_stopped(struct training *t, struct error *error) {
  struct json_writer *json = event_begin(&t->log, "stopped");
  json_key_integer(json, "step", t->done.step);
  json_key_integer(json, "tokens", t->done.tokens);
  if (t->checkpointed) json_key_string(json, "checkpoint", checkpoint_name(&t->arena, t->checkpointed));
  return event_end(&t->log, error) && event_log_sync(&t->log, error);
}

bool report_failed(struct training *t, const struct error *why, struct error *error) {
  struct json_writer *json = event_begin(&t->log, "failed");
  json_key_string(json, "message", why->text);
  json_key_integer(json, "step", t->done.step);
  return event_end(&t->log, error) && event_log_sync(&t->log, error);
}
