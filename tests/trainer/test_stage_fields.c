// trainer/stages: the table of stages beside the table of run fields and that of compression's settings.
#include <string.h>

#include "tests/check.h"
#include "trainer/compress/compress.h"
#include "trainer/stages/stage.h"

static void every_stage_has_fields_and_every_such_field_a_stage(void) {
  for (size_t i = 0; i < stage_count; i++) {
    size_t own = 0;
    for (size_t f = 0; f < run_field_count; f++)
      own += run_fields[f].stage && strcmp(run_fields[f].stage, stages[i].name) == 0;
    CHECK(own > 0 && stage_find(stages[i].name) == &stages[i] && stages[i].version > 0);
    CHECK(stages[i].skips && stages[i].resolve && stages[i].forward_tokens);
    CHECK(stages[i].work || stages[i].training);                        // it works, or it trains,
    CHECK(!stages[i].work || !stages[i].training || stages[i].trains);  // or a run's settings say which
    for (size_t f = 0; stages[i].needs && stages[i].needs[f]; f++) CHECK(field_find(stages[i].needs[f], NULL) != NULL);
  }
  for (size_t f = 0; f < run_field_count; f++) {
    const struct run_field *field = &run_fields[f];
    if (!field->stage) continue;
    CHECK(stage_find(field->stage) != NULL);
    CHECK(starts_with(field->path, field->stage) && field->path[strlen(field->stage)] == '.');
  }
}

// What methods of trainer/compress/ read are fields that a spec gives, and members of the same type.
static void settings_of_compression_are_fields(void) {
  struct arena arena = {0};
  for (size_t i = 0; i < compress_setting_count; i++) {
    const struct run_field *field = compress_setting_field(&compress_settings_table[i]);
    if (!CHECK(field != NULL)) continue;
    CHECK_TEXT(field->stage, "compress");
    CHECK(i == 0 || field > compress_setting_field(&compress_settings_table[i - 1]));
  }
  for (const struct compress_method *const *method = compress_methods; *method; method++)
    for (const char *const *name = (*method)->fields; *name; name++)
      CHECK(compress_setting_find(*method, *name, NULL) != NULL);
  struct compress_settings settings;
  compress_default(&settings, compress_methods[0]);
  CHECK(settings.bits == AUTO_INTEGER && settings.group == AUTO_INTEGER && settings.damping == 0.01);
  CHECK(settings.p == 2 && settings.n == 256 && settings.sparsity == 0.5);
  CHECK_TEXT(settings.format, "");
  CHECK_TEXT(settings.order, "natural");
  CHECK_TEXT(settings.clip, "none");
  CHECK_TEXT(settings.range, "grid");
  CHECK_TEXT(settings.pattern, "");
  size_t count;
  const char **choices = text_split(&arena, field_find("compress.method", NULL)->choices, "|", &count);
  CHECK_TEXT(choices[0], "none");
  for (size_t i = 1; i < count; i++) CHECK(compress_method_find(choices[i], NULL) != NULL);
  size_t methods = 0;
  while (compress_methods[methods]) methods++;
  CHECK(methods + 1 == count);
  arena_free(&arena);
}

// Only its own fields count in a stage's id, behind its parent's; a training's id knows nothing of stages.
static void ids_are_chains(void) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 257, .train_tokens = 1000000, .validation_tokens = 100000};
  struct arena arena = {0};
  struct run_config c;
  config_default(&c);
  c.train.steps = 10;
  CHECK(config_resolve(&c, &facts, "float32", &error));
  struct digest training = config_identity(&c, "corpus", "train", "");
  c.compress.method = "rtn";
  c.compress.bits = 4;
  CHECK_TEXT(config_identity(&c, "corpus", "train", "").hex, training.hex);
  c.stage = "compress";
  const struct stage *stage = stage_find("compress");
  CHECK(stage->resolve(&c, &facts, &arena, &error));
  CHECK_TEXT(error.text, "");
  struct digest four = stage_run_id(stage, &c, "corpus", training.hex), other;
  struct run_config b = c;
  b.train.lr = 1;  // the parent's, whose id stands for it
  CHECK_TEXT(stage_run_id(stage, &b, "corpus", training.hex).hex, four.hex);
  b.compress.bits = AUTO_INTEGER;
  b.compress.format = "absmax-int4";  // the same in other words
  CHECK(stage->resolve(&b, &facts, &arena, &error));
  CHECK_TEXT(stage_run_id(stage, &b, "corpus", training.hex).hex, four.hex);
  b.compress.format = "absmax-w3";
  CHECK(stage->resolve(&b, &facts, &arena, &error));
  other = stage_run_id(stage, &b, "corpus", training.hex);
  CHECK(strcmp(other.hex, four.hex) != 0);
  CHECK(strcmp(stage_run_id(stage, &c, "corpus", other.hex).hex, four.hex) != 0);
  CHECK(strcmp(stage_run_id(stage, &c, "corpus2", training.hex).hex, four.hex) != 0);
  arena_free(&arena);
}

// Order: what was compressed and then trained on computes otherwise than what was trained on and then compressed.
static void further_trainings_stand_on_either_side_of_compressions(void) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 257, .train_tokens = 1000000, .validation_tokens = 100000};
  struct arena arena = {0};
  const struct stage *compress = stage_find("compress"), *tune = stage_find("tune");
  struct run_config c, d, training;
  config_default(&c);
  c.train.steps = 10;
  c.train.lr = 0.004;
  c.format = "w8a8";
  CHECK(config_parse_format(&c, &arena, &error) && config_resolve(&c, &facts, "float32", &error));
  c.compress.method = "rtn";
  c.compress.bits = 4;
  c.stage = "compress";
  CHECK(compress->resolve(&c, &facts, &arena, &error));
  d = c;
  d.tune.tokens = 8192;
  d.stage = "tune";
  CHECK(tune->resolve(&d, &facts, &arena, &error));
  CHECK_TEXT(error.text, "");
  CHECK_TEXT(d.tune.after, "compress");
  CHECK(d.tune.steps == 2 && d.tune.lr == 0.0004 && strcmp(d.tune.schedule, "cosine") == 0);
  training = d;
  tune->training(&training);
  CHECK(training.train.steps == 2 && training.train.tokens == 8192 && training.train.lr == 0.0004);
  CHECK_TEXT(training.format, d.tune.format);
  const struct format *format =
      format_parse(d.tune.format, &arena, &error);  // rtn's weights, the training's activations
  CHECK(format && format->operands[OPERAND_WEIGHTS].grid.count == 16 &&
        format->operands[OPERAND_WEIGHTS].scale.rule == SCALE_ABSMAX &&
        format->operands[OPERAND_ACTIVATIONS].grid.count == 256);
  struct digest lower = stage_run_id(tune, &d, "corpus", "parent"), other;
  d.tune.lr = 0.0005;
  other = stage_run_id(tune, &d, "corpus", "parent");
  CHECK(strcmp(lower.hex, other.hex) != 0);
  CHECK(stage_model_config(&d, &arena, &error));
  CHECK_TEXT(d.format, format->name);  // it is still to be represented: the last stage trained in it
  struct run_config e = c;
  config_clear_stages(&e);
  e.tune.steps = 3;
  e.stage = "tune";
  CHECK(tune->resolve(&e, &facts, &arena, &error));
  CHECK_TEXT(e.tune.after, "train");
  CHECK(!stage_begins(tune, &e));
  CHECK_TEXT(e.tune.format, "w8a8");
  e.compress.method = "rtn";
  e.compress.bits = 4;
  e.stage = "compress";
  CHECK(compress->resolve(&e, &facts, &arena, &error) && stage_model_config(&e, &arena, &error));
  format = format_parse(e.format, &arena, &error);
  CHECK(format && representation_is_none(&format->operands[OPERAND_WEIGHTS]));  // the weights are represented by now
  arena_free(&arena);
}

static struct run_config after_selection(struct arena *arena) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 257, .train_tokens = 1000000, .validation_tokens = 100000};
  struct run_config c;
  config_default(&c);
  c.train.steps = 10;
  c.train.lr = 0.004;
  c.format = "w8a8";
  CHECK(config_parse_format(&c, arena, &error) && config_resolve(&c, &facts, "float32", &error));
  c.data.select = "random";
  c.data.pool_tokens = 100 * c.model.context;
  c.tune.tokens = 8192;
  c.tune.weights = "initial";
  return c;
}

// A training with initial weights on selected data is a first training: its rate, and what its epochs are of.
static void initial_weights(void) {
  struct corpus_facts facts = {.known = true, .vocabulary = 257, .train_tokens = 1000000, .validation_tokens = 100000};
  struct arena arena = {0};
  struct error error = {0};
  const struct stage *tune = stage_find("tune"), *data = stage_find("data");
  struct run_config c = after_selection(&arena), d, training;
  CHECK(data->resolve(&c, &facts, &arena, &error) && tune->resolve(&c, &facts, &arena, &error));
  CHECK_TEXT(error.text, "");
  CHECK(stage_begins(tune, &c) && !stage_begins(data, &c) && !stage_begins(NULL, &c));
  CHECK_TEXT(c.tune.after, "initial");
  CHECK_TEXT(c.tune.format, "w8a8");
  CHECK(c.tune.lr == 0.004);
  training = c;
  tune->training(&training);
  const struct corpus_facts left = stage_facts(&c, &facts);
  CHECK(left.known && left.train_tokens == 10 * c.model.context && facts.train_tokens == 1000000);
  CHECK_NEAR(config_quantities(&training, &left).epochs, 8192.0 / (10.0 * (double)c.model.context), 1e-12);
  c.data.select = "oracle";  // how many windows of its source the pool has is not known before it has run
  CHECK(!stage_facts(&c, &facts).known);
  d = c = after_selection(&arena);
  d.tune.weights = "parent";
  c.stage = d.stage = "tune";
  CHECK(tune->resolve(&c, &facts, &arena, &error) && tune->resolve(&d, &facts, &arena, &error));
  d.tune.lr = c.tune.lr;
  CHECK(strcmp(stage_run_id(tune, &c, "corpus", "parent").hex, stage_run_id(tune, &d, "corpus", "parent").hex) != 0);
  struct {
    const char *select, *method;
    int64_t outliers;
    const char *folder, *why;
  } cases[] = {{"none", "none", 0, "", "without a selection"},
               {"random", "rtn", 0, "", "compress would be without effect"},
               {"random", "none", 2, "", "plant_outliers would be"},
               {"random", "none", 0, "model", "from would be"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    c = after_selection(&arena);
    c.data.select = cases[i].select;
    c.compress.method = cases[i].method;
    c.plant_outliers.channels = cases[i].outliers;
    c.from.path = cases[i].folder;
    error = (struct error){0};
    CHECK(!tune->resolve(&c, &facts, &arena, &error) && strstr(error.text, cases[i].why));
    CHECK(error.about[0] && strcmp(error.about[0], "tune.weights") == 0);
  }
  arena_free(&arena);
}

int main(void) {
  RUN(every_stage_has_fields_and_every_such_field_a_stage);
  RUN(settings_of_compression_are_fields);
  RUN(ids_are_chains);
  RUN(further_trainings_stand_on_either_side_of_compressions);
  RUN(initial_weights);
  return check_end();
}
