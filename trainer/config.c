// Configurations: setting, resolving. The table itself is config_fields.c, what a configuration counts config_counts.c,
// its form as text config_text.c.
#include "trainer/config.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kernels/formats/format.h"
#include "kernels/ops.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/tasks/task.h"

const struct run_field *field_find(const char *path, const char **nearest) {
  if (nearest) *nearest = NULL;
  for (size_t i = 0; i < run_field_count; i++)
    if (strcmp(run_fields[i].path, path) == 0) return &run_fields[i];
  if (nearest) {
    const char *paths[256];
    size_t count = 0;
    for (size_t i = 0; i < run_field_count && count < 256; i++) paths[count++] = run_fields[i].path;
    *nearest = nearest_name(path, paths, count);
  }
  return NULL;
}

static void *place(const void *settings, const struct run_field *field) {
  return (char *)(uintptr_t)settings + field->offset;
}

static const char *type_name(const struct run_field *field) {
  static const char *const names[] = {"a whole number", "a number", "true or false", "text", "text", "text"};
  return names[field->type];
}

struct value field_get(const struct run_config *config, const struct run_field *field) {
  return field->own ? config->own.values[field->own - 1] : field_get_in(config, field);
}

struct value field_get_in(const void *settings, const struct run_field *field) {
  const void *from = place(settings, field);
  struct value value = {.kind = VALUE_NUMBER};
  switch (field->type) {
    case FIELD_INTEGER:  // of at most 2^53
      value.number = (double)*(const int64_t *)from;
      return *(const int64_t *)from == AUTO_INTEGER ? (struct value){.kind = VALUE_MISSING} : value;
    case FIELD_NUMBER:
      value.number = *(const double *)from;
      return isnan(value.number) ? (struct value){.kind = VALUE_MISSING} : value;
    case FIELD_BOOLEAN:
      return (struct value){.kind = VALUE_BOOLEAN, .number = *(const bool *)from};
    default:
      return (struct value){.kind = VALUE_TEXT, .text = *(const char *const *)from};
  }
}

void field_put(struct run_config *config, const struct run_field *field, struct value value) {
  if (field->own) {
    config->own.values[field->own - 1] = value;
    return;
  }
  field_put_in(config, field, value);
  if (field->groups & GROUP_FORMAT) config->parsed_format = NULL;
}

void field_put_in(void *settings, const struct run_field *field, struct value value) {
  void *to = place(settings, field);
  bool unset = value.kind == VALUE_MISSING;
  switch (field->type) {
    case FIELD_INTEGER:
      *(int64_t *)to = unset ? AUTO_INTEGER : (int64_t)value.number;
      break;
    case FIELD_NUMBER:
      *(double *)to = unset ? NAN : value.number;
      break;
    case FIELD_BOOLEAN:
      *(bool *)to = value.number != 0;
      break;
    default:
      *(const char **)to = value.text;
  }
}

static bool out_of_range(const struct run_field *field, const char *shown, struct error *error) {
  char low[32], high[32];
  number_shortest(field->low, low);
  number_shortest(field->high, high);
  return error_set(error, EXIT_USAGE_ERROR, "must be between %s and %s, not %.100s", low, high, shown);
}

static bool in_range(const struct run_field *field, double value, const char *shown, struct error *error) {
  if (field->low == 0 && field->high == 0) return true;
  return (value >= field->low && value <= field->high) || out_of_range(field, shown, error);
}

// The spelling of a choice that the table holds, or NULL.
static const char *choice_of(const struct run_field *field, const char *text, struct arena *arena) {
  const char *from = field->choices;
  size_t length = strlen(text);
  while (*from) {
    size_t size = strcspn(from, "|");
    if (size == length && strncmp(from, text, size) == 0) return arena_copy(arena, from, size);
    from += size + (from[size] == '|');
  }
  return NULL;
}

static bool wrong_choice(const struct run_field *field, const char *text, struct error *error) {
  struct arena arena = {0};
  size_t count;
  const char **names = text_split(&arena, field->choices, "|", &count);
  struct text list = {0};
  for (size_t i = 0; i < count; i++) text_format(&list, "%s%s", i ? ", " : "", names[i]);
  error_set(error, EXIT_USAGE_ERROR, "must be one of %s, not %.100s", text_string(&list), text);
  error_hint(error, nearest_name(text, names, count), NULL);
  text_free(&list);
  arena_free(&arena);
  return false;
}

// What was probably meant by text that is no number, or not one that every reader of YAML takes alike: 1B is 1e9,
// 600_000 is 600000, 020 is 20, "32, 48" is a list. False when it is nothing like that.
static bool number_meant(const char *text, char meant[64]) {
  static const struct {
    char letter;
    int power;
  } powers[] = {{'k', 3}, {'m', 6}, {'b', 9}, {'g', 9}, {'t', 12}};
  char plain[48];  // with a power of ten it has room in `meant`
  size_t length = 0, commas = 0, given = strlen(text);
  double value;
  if (given >= sizeof plain - 2) return false;
  for (const char *c = text; *c; c++) commas += *c == ',';
  if (commas && (strchr(text, ' ') || commas > 3)) {
    snprintf(meant, 64, "[%s]", text);
    return true;
  }
  for (const char *c = text; *c; c++)
    if (*c != '_' && *c != ',' && *c != '\'' && *c != ' ') plain[length++] = *c;
  plain[length] = '\0';
  for (size_t i = 0; length > 1 && i < sizeof powers / sizeof *powers; i++) {
    if ((plain[length - 1] | 0x20) != powers[i].letter) continue;
    plain[length - 1] = '\0';
    if (!number_parse(plain, &value) || strpbrk(plain, "eE")) return false;
    snprintf(meant, 64, "%se%d", plain, powers[i].power);
    return true;
  }
  if (!number_parse(plain, &value) || !isfinite(value)) return false;
  size_t sign = plain[0] == '-' || plain[0] == '+', zeros = strspn(plain + sign, "0");
  if (zeros && !isdigit((unsigned char)plain[sign + zeros])) zeros--;  // the zero of 0.5
  snprintf(meant, 64, "%s%s", plain[0] == '-' ? "-" : "", plain + sign + zeros);
  return true;
}

static bool boolean_meant(const char *text, char meant[64]) {
  static const char *const words[][2] = {{"yes", "true"}, {"on", "true"},   {"true", "true"},   {"1", "true"},
                                         {"no", "false"}, {"off", "false"}, {"false", "false"}, {"0", "false"}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcasecmp(text, words[i][0]) != 0) continue;
    snprintf(meant, 64, "%s", words[i][1]);
    return true;
  }
  return false;
}

static bool wrong_type(const struct run_field *field, const char *text, struct error *error) {
  char meant[64];
  int64_t whole;
  bool known = field->type == FIELD_BOOLEAN ? boolean_meant(text, meant) : number_meant(text, meant);
  if (known && field->type == FIELD_INTEGER) known = *meant == '[' || integer_parse(meant, &whole);
  double number;  // 64B as a width: what it would mean is refused as well
  if (known && field->type <= FIELD_NUMBER && number_parse(meant, &number) && (field->low != 0 || field->high != 0))
    known = number >= field->low && number <= field->high;
  error_set(error, EXIT_USAGE_ERROR, "must be %s%s, not '%s'", type_name(field), field->auto_allowed ? " or auto" : "",
            text);
  return error_hint(error, known ? meant : NULL, NULL);
}

// 020 is 16 to some readers of YAML and 20 to others.
static bool leads_with_zero(const char *text) {
  text += *text == '-' || *text == '+';
  return text[0] == '0' && isdigit((unsigned char)text[1]);
}

static bool zero_led(const char *text, struct error *error) {
  char meant[64];
  error_set(error, EXIT_USAGE_ERROR, "must not begin with 0, which some readers of YAML take for octal, not '%s'",
            text);
  return error_hint(error, number_meant(text, meant) ? meant : NULL, NULL);
}

bool field_read(const struct run_field *field, const char *text, struct arena *arena, struct value *read,
                struct error *error) {
  struct value value = {.kind = VALUE_MISSING};
  int64_t whole;
  *read = value;
  if (field->auto_allowed && strcmp(text, "auto") == 0) return true;
  if (field->type <= FIELD_NUMBER && leads_with_zero(text)) return zero_led(text, error);
  switch (field->type) {
    case FIELD_INTEGER:
      if (!integer_parse(text, &whole)) return wrong_type(field, text, error);
      value = (struct value){.kind = VALUE_NUMBER, .number = (double)whole};
      // As integers: 2^53 + 1 is another number than 2^53, but the same double.
      if (whole > 1LL << 53 || whole < -(1LL << 53)) return out_of_range(field, text, error);
      if (!in_range(field, value.number, text, error)) return false;
      break;
    case FIELD_NUMBER:
      value.kind = VALUE_NUMBER;
      if (!number_parse(text, &value.number) || !isfinite(value.number)) return wrong_type(field, text, error);
      if (!in_range(field, value.number, text, error)) return false;
      break;
    case FIELD_BOOLEAN:
      if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) return wrong_type(field, text, error);
      value = (struct value){.kind = VALUE_BOOLEAN, .number = text[0] == 't'};
      break;
    case FIELD_CHOICE:
      value = (struct value){.kind = VALUE_TEXT, .text = choice_of(field, text, arena)};
      if (!value.text) return wrong_choice(field, text, error);
      break;
    case FIELD_TEXT:
    case FIELD_LIST:
      value = (struct value){.kind = VALUE_TEXT, .text = arena_string(arena, text)};
  }
  *read = value;
  return true;
}

bool config_set(struct run_config *config, const struct run_field *field, const char *text, struct arena *arena,
                struct error *error) {
  struct value value;
  if (!field_read(field, text, arena, &value, error)) return false;
  field_put(config, field, value);
  return true;
}

bool config_set_number(struct run_config *config, const struct run_field *field, double value, struct error *error) {
  char shown[32];
  if (field->type != FIELD_NUMBER && field->type != FIELD_INTEGER)
    return error_set(error, EXIT_USAGE_ERROR, "must be %s, not a number", type_name(field));
  number_shortest(value, shown);
  if (field->type == FIELD_INTEGER) {
    // Expressions of a spec give doubles: 64 * 1.5 is fine, 64 / 3 is not a width.
    double whole = nearbyint(value);
    if (!isfinite(value) || fabs(value - whole) > 1e-9 * fmax(1, fabs(whole)) || fabs(whole) > 9.007199254740992e15)
      return error_set(error, EXIT_USAGE_ERROR, "must be a whole number, not %s (round() makes one)", shown);
    value = whole;
  }
  if (!isfinite(value)) return error_set(error, EXIT_USAGE_ERROR, "must be a finite number, not %s", shown);
  if (!in_range(field, value, shown, error)) return false;
  field_put(config, field, (struct value){.kind = VALUE_NUMBER, .number = value});
  return true;
}

bool config_set_boolean(struct run_config *config, const struct run_field *field, bool value, struct error *error) {
  if (field->type != FIELD_BOOLEAN) return wrong_type(field, value ? "true" : "false", error);
  field_put(config, field, (struct value){.kind = VALUE_BOOLEAN, .number = value});
  return true;
}

// Defaults that are text point at the table's own strings.
static void set_default(struct run_config *config, const struct run_field *field) {
  struct error ignored = {0};
  if (field->type >= FIELD_CHOICE)
    field_put(config, field, (struct value){.kind = VALUE_TEXT, .text = field->fallback});
  else
    config_set(config, field, field->fallback, NULL, &ignored);
}

void config_default(struct run_config *config) {
  memset(config, 0, sizeof *config);
  for (size_t i = 0; i < run_field_count; i++) set_default(config, &run_fields[i]);
}

bool config_is_default(const struct run_config *config, const struct run_field *field) {
  struct run_config fresh = {0};  // of which this field alone is set
  if (field->own) {
    struct arena arena = {0};
    struct error ignored = {0};
    bool same = config_set(&fresh, field, field->fallback, &arena, &ignored) &&
                value_equal(field_get(config, field), field_get(&fresh, field));
    arena_free(&arena);
    return same;
  }
  set_default(&fresh, field);
  return value_equal(field_get(config, field), field_get(&fresh, field));
}

bool field_is_untouched(const struct run_field *field, struct value value) {
  if (!field->stage) return false;
  return value.kind == VALUE_MISSING ||
         (field->type == FIELD_CHOICE && value.kind == VALUE_TEXT && strcmp(value.text, "auto") == 0);
}

void config_clear_stages(struct run_config *config) {
  struct run_config fresh;
  config_default(&fresh);
  for (size_t i = 0; i < run_field_count; i++)
    if (run_fields[i].stage) field_put(config, &run_fields[i], field_get(&fresh, &run_fields[i]));
  config->stage = NULL;
}

void config_clear_budget(struct run_config *config) {
  for (size_t i = 0; i < run_field_count; i++)
    if (run_fields[i].groups & GROUP_BUDGET) field_put(config, &run_fields[i], (struct value){.kind = VALUE_MISSING});
}

// ---- resolving ----

static int64_t vocabulary_of(const struct run_config *config, const struct corpus_facts *facts) {
  if (facts->known) return facts->vocabulary;
  if (strcmp(config->corpus.tokenizer, "bytes") == 0) return 257;  // 256 bytes and the end of a document
  if (config->corpus.vocabulary != AUTO_INTEGER) return config->corpus.vocabulary;
  return strcmp(config->corpus.tokenizer, "sentencepiece") == 0 ? 4096 : 0;
}

static bool device_known(const char *device) {
  if (strcmp(device, "auto") == 0 || strcmp(device, "cpu") == 0 || strcmp(device, "cuda") == 0) return true;
  if (!starts_with(device, "cuda:") || !device[5]) return false;
  for (const char *c = device + 5; *c; c++)
    if (!isdigit((unsigned char)*c)) return false;
  return true;
}

static bool resolve_model(struct run_config *config, const struct corpus_facts *facts, const char *resolved_dtype,
                          struct error *error) {
  int64_t width = config->model.width;
  if (!device_known(config->model.device))
    return error_set(error, EXIT_USAGE_ERROR, "model.device must be auto, cpu, cuda or cuda:N, not '%s'",
                     config->model.device) ||
           error_about(error, "model.device", NULL);
  if (width % 16)
    return error_set(error, EXIT_USAGE_ERROR, "model.width %" PRId64 " is not a multiple of 16", width) ||
           error_about(error, "model.width", NULL);
  if (config->model.head_dim == AUTO_INTEGER) {
    if (config->model.heads != AUTO_INTEGER && width % config->model.heads)
      return error_set(error, EXIT_USAGE_ERROR,
                       "model.heads %" PRId64 " does not divide model.width %" PRId64
                       ": give model.head_dim too, for heads that are wider or narrower together",
                       config->model.heads, width) ||
             error_about(error, "model.heads", "model.width", NULL);
    if (config->model.heads != AUTO_INTEGER)
      config->model.head_dim = width / config->model.heads;
    else
      config->model.head_dim = width % 64 == 0 ? 64 : width % 32 == 0 ? 32 : 16;
  }
  if (config->model.heads == AUTO_INTEGER) {
    if (width % config->model.head_dim)
      return error_set(error, EXIT_USAGE_ERROR, "model.head_dim %" PRId64 " does not divide model.width %" PRId64,
                       config->model.head_dim, width) ||
             error_about(error, "model.head_dim", "model.width", NULL);
    config->model.heads = width / config->model.head_dim;
  }
  if (config->model.head_dim < 2 || config->model.head_dim % 2)
    return error_set(error, EXIT_USAGE_ERROR,
                     "model.head_dim %" PRId64 " is not an even number of at least 2 (rotary positions turn pairs)",
                     config->model.head_dim) ||
           error_about(error, "model.head_dim", NULL);
  if (config->model.kv_heads == AUTO_INTEGER) config->model.kv_heads = config->model.heads;
  if (config->model.heads % config->model.kv_heads)
    return error_set(error, EXIT_USAGE_ERROR, "model.kv_heads %" PRId64 " does not divide model.heads %" PRId64,
                     config->model.kv_heads, config->model.heads) ||
           error_about(error, "model.kv_heads", "model.heads", NULL);
  if (config->model.mlp_width == AUTO_INTEGER) config->model.mlp_width = (width * 8 / 3 + 31) / 32 * 32;
  if (config->model.vocabulary == AUTO_INTEGER) {
    config->model.vocabulary = vocabulary_of(config, facts);
    if (config->model.vocabulary == 0)
      return error_set(error, EXIT_USAGE_ERROR,
                       "model.vocabulary is not known before the corpus is prepared: give corpus.vocabulary") ||
             error_about(error, "model.vocabulary", "corpus.vocabulary", NULL);
  } else if (facts->known && config->model.vocabulary < facts->vocabulary) {
    return error_set(error, EXIT_USAGE_ERROR,
                     "model.vocabulary %" PRId64 " is smaller than the tokenizer's vocabulary %" PRId64,
                     config->model.vocabulary, facts->vocabulary) ||
           error_about(error, "model.vocabulary", NULL);
  }
  if (strcmp(config->model.dtype, "auto") == 0)
    config->model.dtype =
        strcmp(config->train.master_weights, "bfloat16") == 0 || strcmp(resolved_dtype, "bfloat16") == 0 ? "bfloat16"
                                                                                                         : "float32";
  if (strcmp(config->train.master_weights, "float32") != 0 &&
      strcmp(config->train.master_weights, config->model.dtype) != 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.master_weights %s goes with model.dtype %s or auto, not %s: products would be wider than "
                     "what is kept",
                     config->train.master_weights, config->train.master_weights, config->model.dtype) ||
           error_about(error, "train.master_weights", "model.dtype", NULL);
  return true;
}

bool config_format_fits(const struct run_config *c, const struct format *format, const char *path,
                        struct error *error) {
  int64_t width = c->model.width, hidden = c->model.mlp_width, query = c->model.heads * c->model.head_dim;
  int64_t qkv = query + 2 * c->model.kv_heads * c->model.head_dim;
  int64_t rows = c->model.context;  // the windows of an axis of tokens
  const struct {
    const char *name;
    unsigned layer;
    int64_t outputs, inputs;
  } matrices[] = {{"query, key and value", LAYER_QKV, qkv, width},
                  {"attention output", LAYER_OUTPUT, width, query},
                  {"gate and up", LAYER_GATE_UP, 2 * hidden, width},
                  {"down", LAYER_DOWN, width, hidden}};
  for (int i = 0; i < 4; i++)
    if (format->layers & matrices[i].layer &&
        !format_check_shape(format, matrices[i].outputs, matrices[i].inputs, rows, error))
      return error_context(error, "format %s does not fit the %s matrix", format->name, matrices[i].name) ||
             error_about(error, path, NULL);
  return true;
}

// What this trainer does not know is not checked.
static bool format_fits(const struct run_config *c, struct error *error) {
  struct arena arena = {0};
  const struct format *format = config_format(c, &arena);
  bool fine = !format || (optimizer_takes(c, format, error) && config_format_fits(c, format, "format", error));
  arena_free(&arena);
  return fine;
}

// What is averaged lies within the run, and within one phase of its format.
static bool resolve_average(struct run_config *c, struct error *error) {
  int64_t last = c->train.average_checkpoints, steps = c->train.steps, begins = config_format_begins(c);
  if (last == 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.average_checkpoints 1 is the last weights themselves: 2 or more are "
                     "averaged, 0 is none") ||
           error_about(error, "train.average_checkpoints", NULL);
  if (last == 0) return true;
  if (c->train.average_every == AUTO_INTEGER) {
    double every = c->train.cooldown_fraction * (double)steps / (double)last;
    c->train.average_every = every < 1 ? 1 : (int64_t)every;
  }
  double first = (double)steps - (double)(last - 1) * (double)c->train.average_every;
  if (first > (double)begins) return true;
  error_set(error, EXIT_USAGE_ERROR,
            "train.average takes %" PRId64 " weights, %" PRId64 " steps apart, and the run has %" PRId64 " steps%s",
            last, c->train.average_every, steps - begins, begins ? " in its format" : "");
  return error_about(error, "train.average_checkpoints", "train.average_every", "train.steps", NULL);
}

// Levels of gradients that nobody rounds would be an axis without effect.
static bool check_exchange(const struct run_config *c, struct error *error) {
  static const char *const paths[] = {"train.gradient_levels", "train.gradient_bucket"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    const struct run_field *field = field_find(paths[i], NULL);
    char number[32];
    if (field->counts_when(c) || config_is_default(c, field)) continue;
    error_set(error, EXIT_USAGE_ERROR,
              "%s %s says nothing where train.gradient_compression is none: leave it out, or compress gradients",
              field->path, field_text(field, field_get(c, field), number));
    return error_about(error, field->path, "train.gradient_compression", NULL);
  }
  return true;
}

// A format that begins later leaves at least one step on either side.
static bool phases_fit(const struct run_config *c, struct error *error) {
  struct arena arena = {0};
  const struct format *format = config_format(c, &arena);
  int64_t first = config_format_begins(c), steps = c->train.steps;
  bool fine = !format || format->after <= 0 || (first >= 1 && first < steps);
  if (!fine) {
    error_set(error, EXIT_USAGE_ERROR,
              "format %s begins after %" PRId64 " of %" PRId64
              " steps: that leaves none %s; a longer training or "
              "another share is needed",
              format->name, first, steps, first < 1 ? "in full precision" : "in the format");
    error_about(error, "format", "train.steps", "train.tokens", NULL);
  }
  arena_free(&arena);
  return fine;
}

bool config_resolve(struct run_config *config, const struct corpus_facts *facts, const char *resolved_dtype,
                    struct error *error) {
  const struct task *task = task_of(config);
  if (task) return task_resolve(config, task, error);
  if (!resolve_model(config, facts, resolved_dtype, error)) return false;
  int64_t batch = config->train.batch_tokens, context = config->model.context;
  if (batch % context)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.batch_tokens %" PRId64 " is not a multiple of model.context %" PRId64, batch, context) ||
           error_about(error, "train.batch_tokens", "model.context", NULL);
  if (batch / context % config->train.accumulation)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.accumulation %" PRId64 " does not divide the batch of %" PRId64 " sequences",
                     config->train.accumulation, batch / context) ||
           error_about(error, "train.accumulation", NULL);
  if (*config->from.path) return format_fits(config, error);  // trained already, or nobody knows how
  bool tokens = config->train.tokens != AUTO_INTEGER, steps = config->train.steps != AUTO_INTEGER,
       ratio = !isnan(config->train.tokens_per_parameter);
  if (tokens + steps + ratio > 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.tokens, train.steps and train.tokens_per_parameter say the same thing: give one of them") ||
           error_about(error, "train.tokens", "train.steps", "train.tokens_per_parameter", NULL);
  bool own = config->own_model.given;
  double built_in = (double)config_parameters(config).non_embedding;
  if (tokens && config->train.tokens < batch)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.tokens %" PRId64 " is less than one step's train.batch_tokens %" PRId64,
                     config->train.tokens, batch) ||
           error_about(error, "train.tokens", "train.batch_tokens", NULL);
  if (!steps) {
    double wanted = (double)config->train.tokens;
    if (!tokens) {
      double per_parameter = ratio ? config->train.tokens_per_parameter : 20;
      // Where nothing is given, the built-in model of these fields sets a length for any trainer.
      double counted = own && (ratio || !isnan(config->own_model.parameters)) ? config->own_model.parameters : built_in;
      if (isnan(counted))
        return error_set(
                   error, EXIT_USAGE_ERROR,
                   "train.tokens or train.steps is needed in place of train.tokens_per_parameter: how many "
                   "parameters the model of this trainer has is not known (trainer: {parameters: EXPRESSION} says "
                   "it)") ||
               error_about(error, "train.tokens_per_parameter", NULL);
      wanted = per_parameter * counted;
    }
    if (ratio && wanted < (double)batch)
      return error_set(error, EXIT_USAGE_ERROR,
                       "train.tokens_per_parameter %g makes %.0f tokens, less than one step's train.batch_tokens "
                       "%" PRId64,
                       config->train.tokens_per_parameter, wanted, batch) ||
             error_about(error, "train.tokens_per_parameter", "train.batch_tokens", NULL);
    if (wanted / (double)batch > 1e12) return error_set(error, EXIT_USAGE_ERROR, "more than 1e12 steps");
    config->train.steps = (int64_t)(wanted / (double)batch);
    if (config->train.steps < 1) config->train.steps = 1;
  }
  if ((double)config->train.steps * (double)batch > 9e15)
    return error_set(error, EXIT_USAGE_ERROR, "more than 9e15 training tokens");
  config->train.tokens = config->train.steps * batch;
  config->train.tokens_per_parameter = (double)config->train.tokens / (own ? config->own_model.parameters : built_in);
  if (config->train.warmup_steps == AUTO_INTEGER)
    config->train.warmup_steps = (int64_t)(config->train.warmup_fraction * (double)config->train.steps);
  if (config->train.warmup_steps > config->train.steps)
    return error_set(error, EXIT_USAGE_ERROR, "train.warmup_steps %" PRId64 " is more than the run's %" PRId64 " steps",
                     config->train.warmup_steps, config->train.steps) ||
           error_about(error, "train.warmup_steps", NULL);
  return optimizer_resolve(config, error) && check_exchange(config, error) && config_moments_fit(config, error) &&
         format_fits(config, error) && (config->own_model.given || phases_fit(config, error)) &&
         resolve_average(config, error);
}
