// What a configuration counts: parameters, tokens, FLOPs, what its format prunes. See config.h.
#include <math.h>
#include <string.h>

#include "kernels/ops.h"
#include "trainer/config.h"
#include "trainer/formats.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/search_budget.h"
#include "trainer/tasks/task.h"

bool config_parse_format(struct run_config *config, struct arena *arena, struct error *error) {
  config->parsed_format = NULL;
  if (strcmp(config->format, "none") == 0) return true;
  const struct format *format = format_read(config->format, arena, error);
  if (!format) return false;
  config->parsed_format = format_is_none(format) ? NULL : format;
  return true;
}

const char *config_format_name(const struct run_config *config, struct arena *arena) {
  return config->parsed_format ? config->parsed_format->name : format_canonical(config->format, arena);
}

const struct format *config_format(const struct run_config *c, struct arena *arena) {
  struct error error = {0};
  struct run_config parsed = *c;
  if (parsed.parsed_format || config_parse_format(&parsed, arena, &error)) return parsed.parsed_format;
  return NULL;
}

static int64_t begins(const struct run_config *c, const struct format *format) {
  if (!format || format->after <= 0) return 0;
  if (c->format_begins) return c->format_begins;
  return c->train.steps == AUTO_INTEGER ? 0 : format_begins(format, c->train.steps);
}

int64_t config_format_begins(const struct run_config *resolved) {
  struct arena arena = {0};
  int64_t first = begins(resolved, config_format(resolved, &arena));
  arena_free(&arena);
  return first;
}

// Of one block.
static int64_t learned_scales(const struct run_config *c) {
  struct arena arena = {0};
  int64_t count = format_has_learned_scales(config_format(c, &arena)) ? 4 * LEARNED_SCALES : 0;
  arena_free(&arena);
  return count;
}

struct parameter_counts config_parameters(const struct run_config *c) {
  int64_t d = c->model.width, layers = c->model.layers;
  int64_t query = c->model.heads * c->model.head_dim, key = c->model.kv_heads * c->model.head_dim;
  struct parameter_counts p = {0};
  p.embedding = c->model.vocabulary * d;
  p.head = c->model.tied_head ? 0 : c->model.vocabulary * d;
  p.attention = layers * (d * query + 2 * d * key + query * d);
  p.mlp = layers * 3 * d * c->model.mlp_width;
  p.norms = (2 * layers + 1) * d;
  p.prunable = p.attention + p.mlp;
  p.non_embedding = p.prunable + p.norms;
  p.scales = layers * learned_scales(c);
  p.total = p.non_embedding + p.embedding + p.head + p.scales;
  return p;
}

// FLOPs of one training token, per operation: a multiply-add is 2; forward once, backward twice. Linear layers and the
// vocabulary matrix by their weights; attention by the (T + 1) / 2 keys a causal query sees on average, scores and
// weighted values. Norms, activations, softmax and the optimizer are left out (they are no matrix products).
static double flops_per_token(const struct run_config *c, double prunable) {
  double attention =
      2.0 * 2.0 * (double)(c->model.layers * c->model.heads * c->model.head_dim) * ((double)c->model.context + 1) / 2;
  double forward = 2.0 * prunable + attention + 2.0 * (double)(c->model.vocabulary * c->model.width);
  return 3 * forward;
}

// The weights that a format applies to.
static double formatted_parameters(const struct run_config *c, const struct format *format) {
  int64_t d = c->model.width, layers = format_blocks(format, c->model.layers);
  int64_t query = c->model.heads * c->model.head_dim, key = c->model.kv_heads * c->model.head_dim;
  int64_t count = 0;
  if (format->layers & LAYER_QKV) count += d * (query + 2 * key);
  if (format->layers & LAYER_OUTPUT) count += d * query;
  if (format->layers & LAYER_GATE_UP) count += 2 * d * c->model.mlp_width;
  if (format->layers & LAYER_DOWN) count += d * c->model.mlp_width;
  return (double)(layers * count);
}

// Pruned parameters during a step (step below 0: mean over the training).
static double pruned_parameters(const struct run_config *c, const struct format *format, int64_t step) {
  if (!format) return 0;
  // A format that begins later counts its own steps.
  int64_t before = begins(c, format), steps = c->train.steps - before;
  double pruned = 0, share = 1;
  if (step < 0) {
    pruned = 1 - format_average_density(format, steps);
    share = before ? (double)steps / (double)c->train.steps : 1;
  } else if (step >= before) {
    pruned = 1 - format_density(format, step - before, steps);
  }
  return share * pruned * formatted_parameters(c, format);
}

double config_active_parameters(const struct run_config *resolved, int64_t step) {
  struct arena arena = {0};
  double pruned = pruned_parameters(resolved, config_format(resolved, &arena), step);
  arena_free(&arena);
  return (double)config_kept_parameters(resolved).non_embedding - pruned;
}

static void put_own_model(struct run_quantities *q, const struct own_model *own) {
  q->own_model = *own;
  q->active_parameters = own->active;
  q->average_active_parameters = NAN;
  q->flops = q->flops_own = own->flops;
  q->flops_per_token = own->flops / (double)q->tokens;
  q->flops_6nd = 6.0 * own->parameters * (double)q->tokens;
  q->tokens_per_parameter = (double)q->tokens / own->parameters;
}

struct run_quantities config_quantities(const struct run_config *c, const struct corpus_facts *facts) {
  const struct task *task = task_of(c);
  if (task) return task_quantities(c, task);
  struct run_quantities q = {
      .parameters = config_kept_parameters(c), .steps = c->train.steps, .tokens = c->train.tokens};
  struct arena arena = {0};
  const struct format *format = config_format(c, &arena);
  double pruned = pruned_parameters(c, format, -1);
  q.active_parameters =
      (double)q.parameters.non_embedding - pruned_parameters(c, format, c->train.steps > 0 ? c->train.steps - 1 : 0);
  q.full_precision_share = strcmp(c->format, "none") == 0 ? 1 : format ? format->after : NAN;
  arena_free(&arena);
  q.average_active_parameters = (double)q.parameters.non_embedding - pruned;
  q.flops_per_token = flops_per_token(c, (double)q.parameters.prunable - pruned);
  q.flops = q.flops_per_token * (double)q.tokens;
  q.flops_6nd = 6.0 * (double)q.parameters.non_embedding * (double)q.tokens;
  q.flops_own = q.flops;
  q.epochs = !facts->known                      ? NAN
             : facts->train_tokens == INT64_MAX ? 0
             : facts->train_tokens > 0          ? (double)q.tokens / (double)facts->train_tokens
                                                : INFINITY;
  q.tokens_per_parameter = (double)q.tokens / (double)q.parameters.non_embedding;
  q.state_bytes = optimizer_state_bytes(c);
  if (c->own_model.given) put_own_model(&q, &c->own_model);
  if (*c->from.path && c->from.spent_more) q.flops = q.flops_own = NAN;
  if (*c->from.path) q.epochs = NAN;  // of a corpus that need not be this one
  if (*c->from.path && c->train.steps == AUTO_INTEGER) {
    q.steps = q.tokens = AUTO_INTEGER;
    q.flops = q.flops_own = q.flops_6nd = q.tokens_per_parameter = NAN;
  }
  return q;
}
