// The events of stages; docs/events.md says what each field means.
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "trainer/stages/work.h"

static void put_finite(struct json_writer *json, const char *key, double value) {
  if (isfinite(value)) json_key_number(json, key, value);
}

bool report_layer(struct stage_work *work, const struct layer_result *result, struct error *error) {
  struct training *t = &work->run;
  struct json_writer *json = event_begin(&t->log, "layer");
  json_key_integer(json, "layer", result->layer);
  json_key_string(json, "matrix", result->matrix);
  json_key_integer(json, "rows", result->rows);
  json_key_integer(json, "columns", result->columns);
  put_finite(json, "relative_error", result->relative_error);
  put_finite(json, "output_error", result->output_error);
  put_finite(json, "weighted_error", result->weighted_error);
  put_finite(json, "bound", result->bound);
  put_finite(json, "bits", result->bits);
  put_finite(json, "sparsity", result->sparsity);
  put_finite(json, "alpha", result->alpha);
  put_finite(json, "alpha_error", result->alpha_error);
  return event_end(&t->log, error);
}

bool report_stage_done(struct stage_work *work, const struct evaluation *evaluation, const struct stage_number *numbers,
                       size_t count, struct error *error) {
  struct training *t = &work->run;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  if (evaluation && !isfinite(evaluation->loss)) {
    struct pending_step now = {work->parent.step, t->file.config.train.tokens, 0, 0};
    return report_diverged(t, &now, NAN, "the validation loss is not finite", error);
  }
  bool counted = false;
  for (size_t i = 0; i < count; i++) counted = counted || strcmp(numbers[i].key, "parameters_active") == 0;
  double active = NAN;
  if (!counted && !stage_active_parameters(work, &active, error)) return false;
  struct json_writer *json = event_begin(&t->log, "done");
  json_key_integer(json, "step", work->parent.step);
  put_finite(json, "parameters_active", active);
  if (evaluation) {
    json_key_number(json, "loss", evaluation->loss);
    json_key_integer(json, "eval_tokens", evaluation->tokens);
    json_key_integer(json, "eval_targets", evaluation->targets);
    put_finite(json, "bits_per_byte", evaluation->bits_per_byte);
    put_finite(json, "oracle_loss", evaluation->oracle_loss);
    report_parts(json, evaluation);
    put_finite(json, "irreducible_loss", t->facts.irreducible_loss);
  }
  for (size_t i = 0; i < count; i++) put_finite(json, numbers[i].key, numbers[i].value);
  if (work->note) json_key_string(json, work->note_key, work->note);
  if (work->result_count) {
    json_key(json, "results");
    json_object_begin(json);
    for (size_t i = 0; i < work->result_count; i++) put_finite(json, work->results[i].key, work->results[i].value);
    json_object_end(json);
  }
  json_key_number(json, "wall_seconds", training_seconds(t));
  json_key_integer(json, "peak_memory", (int64_t)usage.ru_maxrss * 1024);
  if (t->checkpointed) json_key_string(json, "checkpoint", checkpoint_name(&t->arena, t->checkpointed));
  return event_end(&t->log, error);
}
