// The table of optimizers, and what follows from an entry of it. See optimizer.h.
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/optimizers/optimizer.h"

const struct optimizer *const optimizers[] = {&optimizer_adamw,
                                              &optimizer_sgd,
                                              &optimizer_lion,
                                              &optimizer_muon,
                                              &optimizer_normuon,
                                              &optimizer_soap,
                                              &optimizer_shampoo,
                                              &optimizer_ldadam,
                                              &optimizer_dct_adamw,
                                              &optimizer_trion,
                                              NULL};

const struct optimizer *optimizer_of(const struct run_config *config) {
  for (size_t i = 0; optimizers[i]; i++)
    if (strcmp(optimizers[i]->name, config->train.optimizer) == 0) return optimizers[i];
  return NULL;
}

static const char section[] = "train.";  // where all settings are

// What follows the section's name; NULL elsewhere. Plans ask for each field of a million runs: a letter tells most.
static const char *name_in_section(const char *path) {
  for (size_t i = 0; i < sizeof section - 1; i++)
    if (path[i] != section[i]) return NULL;
  return path + sizeof section - 1;
}

static const struct optimizer_setting *setting_of(const struct optimizer *optimizer, const char *path) {
  const char *name = name_in_section(path);
  for (int i = 0; name && i < OPTIMIZER_SETTINGS && optimizer->settings[i].path; i++) {
    const char *own = optimizer->settings[i].path + sizeof section - 1;
    if (*own == *name && strcmp(own, name) == 0) return &optimizer->settings[i];
  }
  return NULL;
}

bool optimizer_has_setting(const char *path) {
  for (size_t i = 0; name_in_section(path) && optimizers[i]; i++)
    if (setting_of(optimizers[i], path)) return true;
  return false;
}

// Settings of an optimizer are auto in the table of fields.
static bool may_be_setting(const struct run_field *field) { return strcmp(field->fallback, "auto") == 0; }

bool optimizer_reads(const struct run_config *config, const struct run_field *field) {
  if (!may_be_setting(field)) return true;
  return setting_of(optimizer_of(config), field->path) || !optimizer_has_setting(field->path);
}

// Not set, or a choice that is to be resolved.
static bool is_auto(struct value value) {
  return value.kind == VALUE_MISSING || (value.kind == VALUE_TEXT && strcmp(value.text, "auto") == 0);
}

static bool not_read(const struct optimizer *optimizer, const struct run_field *field, struct value value,
                     struct error *error) {
  char number[32];
  struct text readers = {0};
  for (size_t i = 0; optimizers[i]; i++)
    if (setting_of(optimizers[i], field->path))
      text_format(&readers, "%s%s", readers.length ? ", " : "", optimizers[i]->name);
  error_set(error, EXIT_USAGE_ERROR, "%s %s says nothing to the optimizer %s; it is read by %s", field->path,
            field_text(field, value, number), optimizer->name, text_string(&readers));
  text_free(&readers);
  return error_about(error, field->path, "train.optimizer", NULL);
}

static bool in_range(const struct optimizer *optimizer, const struct optimizer_setting *setting, double value,
                     struct error *error) {
  if ((setting->low == 0 && setting->high == 0) || (value >= setting->low && value <= setting->high)) return true;
  char low[32], high[32], shown[32];
  number_shortest(setting->low, low);
  number_shortest(setting->high, high);
  number_shortest(value, shown);
  error_set(error, EXIT_USAGE_ERROR, "%s must be between %s and %s for the optimizer %s, not %s", setting->path, low,
            high, optimizer->name, shown);
  return error_about(error, setting->path, "train.optimizer", NULL);
}

bool optimizer_resolve(struct run_config *config, struct error *error) {
  const struct optimizer *optimizer = optimizer_of(config);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (!may_be_setting(field)) continue;
    const struct optimizer_setting *setting = setting_of(optimizer, field->path);
    struct value value = field_get(config, field);
    if (!setting) {
      if (optimizer_has_setting(field->path) && !is_auto(value)) return not_read(optimizer, field, value, error);
    } else if (!is_auto(value)) {
      if (value.kind == VALUE_NUMBER && !in_range(optimizer, setting, value.number, error)) return false;
    } else if (field->type == FIELD_CHOICE) {
      field_put(config, field, (struct value){.kind = VALUE_TEXT, .text = setting->fallback});
    } else if (!config_set(config, field, setting->fallback, NULL, error)) {
      return false;
    }
  }
  return true;
}

const char *optimizer_unresolved(const struct run_config *config) {
  const struct optimizer_setting *settings = optimizer_of(config)->settings;
  for (int i = 0; i < OPTIMIZER_SETTINGS && settings[i].path; i++)
    if (is_auto(field_get(config, field_find(settings[i].path, NULL)))) return settings[i].path;
  return NULL;
}

bool optimizer_takes(const struct run_config *config, const struct format *format, struct error *error) {
  const struct optimizer *optimizer = optimizer_of(config);
  const struct sparsity *sparsity = &format->operands[OPERAND_WEIGHTS].sparsity;
  if (!optimizer->by_matrix || sparsity->kind == SPARSITY_NONE || !sparsity->monotone) return true;
  struct text others = {0};
  for (size_t i = 0; optimizers[i]; i++)
    if (!optimizers[i]->by_matrix) text_format(&others, "%s%s", others.length ? ", " : "", optimizers[i]->name);
  error_set(error, EXIT_USAGE_ERROR,
            "the optimizer %s moves every weight of a matrix, also those that format %s has pruned for good: that goes "
            "with %s",
            optimizer->name, format->name, text_string(&others));
  text_free(&others);
  return error_about(error, "train.optimizer", "format", NULL);
}

void optimizer_matrix_sizes(const struct run_config *c, struct matrix_size sizes[OPTIMIZER_MATRICES]) {
  int64_t query = c->model.heads * c->model.head_dim, key = c->model.kv_heads * c->model.head_dim;
  int64_t width = c->model.width, hidden = c->model.mlp_width;
  const struct matrix_size all[OPTIMIZER_MATRICES] = {{query, width},  {key, width},    {key, width},   {width, query},
                                                      {hidden, width}, {hidden, width}, {width, hidden}};
  memcpy(sizes, all, sizeof all);
}

int64_t optimizer_matrix_offset(const struct run_config *config, int matrix) {
  const struct optimizer *optimizer = optimizer_of(config);
  struct matrix_size sizes[OPTIMIZER_MATRICES];
  int64_t layer = 0, before = 0;
  if (!optimizer->matrix_state) return 0;
  optimizer_matrix_sizes(config, sizes);
  for (int i = 0; i < OPTIMIZER_MATRICES; i++) {
    int64_t one = optimizer->matrix_state(config, sizes[i].rows, sizes[i].columns);
    if (i < matrix % OPTIMIZER_MATRICES) before += one;
    layer += one;
  }
  return matrix / OPTIMIZER_MATRICES * layer + before;
}

int64_t optimizer_step_scratch_bytes(const struct run_config *config) {
  const struct optimizer *optimizer = optimizer_of(config);
  struct matrix_size sizes[OPTIMIZER_MATRICES];
  int64_t largest = 0;
  optimizer_matrix_sizes(config, sizes);
  for (int i = 0; i < OPTIMIZER_MATRICES && optimizer->matrix_scratch; i++) {
    int64_t one = optimizer->matrix_scratch(config, sizes[i].rows, sizes[i].columns);
    if (one > largest) largest = one;
  }
  return largest * (int64_t)sizeof(float);
}

int64_t optimizer_elements(const struct run_config *config, int array) {
  struct parameter_counts count = config_parameters(config);
  switch (optimizer_of(config)->state(config).extent[array]) {
    case STATE_ALL:
      return count.total;
    case STATE_REST:
      return count.total - count.prunable;
    case STATE_MATRICES:
      return optimizer_matrix_offset(config, (int)config->model.layers * OPTIMIZER_MATRICES);
    case STATE_NONE:
      break;
  }
  return 0;
}

int64_t optimizer_array_bytes(const struct run_config *config, int array) {
  bool narrow = array != STATE_OF_MATRICES && strcmp(config->train.optimizer_state, "bfloat16") == 0;
  int64_t bytes = optimizer_elements(config, array) * (narrow ? 2 : 4);
  return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
}

int64_t optimizer_state_bytes(const struct run_config *config) {
  int64_t bytes = 0;
  for (int array = 0; array < STATE_ARRAYS; array++) bytes += optimizer_array_bytes(config, array);
  return bytes;
}
