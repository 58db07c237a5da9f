// The tables of tasks hold together, and a run of a task is what its settings are.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/check.h"
#include "trainer/tasks/program.h"

static void names_are_words_of_their_own(void) {
  for (size_t t = 0; run_tasks[t]; t++) {
    const struct task *task = run_tasks[t];
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.", task->name);
    CHECK(task->field_count > 0 && task->field_count <= OWN_FIELD_LIMIT && task->result_count > 0);
    for (size_t i = 0; i < task->field_count; i++) {
      const struct run_field *field = &task->fields[i];
      CHECK(starts_with(field->path, prefix) && !field_find(field->path, NULL) && field->help && field->fallback);
      CHECK(field->offset < task->settings_size && task_of_field(field->path) == task);
    }
    for (size_t i = 0; i < task->result_count; i++) {
      CHECK(starts_with(task->results[i].name, prefix) && !task_of_field(task->results[i].name));
      CHECK(task_of_result(task->results[i].name, NULL) == task);
    }
  }
}

static void every_task_has_a_program_and_a_word(void) {
  size_t count = 0;
  for (size_t t = 0; run_tasks[t]; t++, count++) {
    CHECK_TEXT(task_programs[t].name, run_tasks[t]->name);
    CHECK(task_programs[t].work != NULL && task_find(run_tasks[t]->name) == run_tasks[t]);
  }
  CHECK(task_programs[count].name == NULL);
  struct arena arena = {0};
  size_t words;
  text_split(&arena, field_find("task", NULL)->choices, "|", &words);
  CHECK(words == count + 1);
  arena_free(&arena);
}

static void make(struct run_config *config, const char *task, struct arena *arena) {
  config_default(config);
  task_give(config, task_find(task), task_fields(task_find(task), arena));
}

static const struct run_field *own(const struct run_config *config, const char *path) {
  for (size_t i = 0; i < config->own.count; i++)
    if (strcmp(config->own.fields[i].path, path) == 0) return &config->own.fields[i];
  return NULL;
}

static void only_what_is_not_default_counts(void) {
  struct arena arena = {0};
  struct run_config config;
  struct text text = {0};
  struct error error = {0};
  make(&config, "descent", &arena);
  config_canonical(&config, &text);
  CHECK_TEXT(text_string(&text), "{\"seed\":0,\"task\":\"descent\"}");
  CHECK(config_set(&config, own(&config, "descent.dimension"), "8", &arena, &error));
  CHECK(config_set(&config, own(&config, "descent.method"), "momentum", &arena, &error));
  text_clear(&text);
  config_canonical(&config, &text);
  CHECK_TEXT(text_string(&text),
             "{\"seed\":0,\"task\":\"descent\",\"descent.dimension\":8,\"descent.method\":\"momentum\"}");
  CHECK(config_version(&config) == 1);
  CHECK(!config_has(&config, field_find("model.width", NULL)) && config_has(&config, field_find("seed", NULL)));
  config_default(&config);
  text_clear(&text);
  config_canonical(&config, &text);  // of trainings nothing of tasks is in the identity
  CHECK(strstr(text_string(&text), "task") == NULL);
  text_free(&text);
  arena_free(&arena);
}

static void what_follows_is_known(void) {
  struct arena arena = {0};
  struct run_config config;
  struct error error = {0};
  struct corpus_facts facts = {0};
  make(&config, "boolean", &arena);
  CHECK(config_resolve(&config, &facts, "float32", &error));
  CHECK(field_get(&config, own(&config, "boolean.variables")).kind == VALUE_MISSING);
  struct run_quantities q = config_quantities(&config, &facts);
  CHECK_NEAR(q.own_model.parameters, 8 * 33, 0);
  CHECK(q.steps == 4000 && q.tokens == 4000 * 128 && isnan(q.flops));
  CHECK(config_set(&config, own(&config, "boolean.expand"), "gram", &arena, &error));
  CHECK(config_set(&config, own(&config, "boolean.control"), "dense_2x", &arena, &error));
  CHECK(!config_resolve(&config, &facts, "float32", &error) && error.about[0] &&
        strcmp(error.about[0], "boolean.control") == 0);
  arena_free(&arena);
}

static void files_and_settings_come_back(void) {
  struct arena arena = {0};
  struct run_file file = {.id = "00000000000000000000000000000000", .corpus_path = ""}, read;
  struct error error = {0};
  struct text text = {0};
  char path[] = "/tmp/isoloss-task-XXXXXX";
  int made = mkstemp(path);
  make(&file.config, "boolean", &arena);
  CHECK(config_set(&file.config, own(&file.config, "boolean.lr"), "0.5", &arena, &error));
  CHECK(config_resolve(&file.config, &(struct corpus_facts){0}, "float32", &error));
  run_file_write(&file, &text);
  CHECK(strstr(text_string(&text), "model.") == NULL);
  CHECK(made >= 0 && file_write_all(made, text.bytes, text.length) && close(made) == 0);
  CHECK(run_file_read(&arena, path, &read, &error));
  struct digest a = config_identity(&file.config, "", "task boolean", ""),
                b = config_identity(&read.config, "", "task boolean", "");
  CHECK_TEXT(a.hex, b.hex);
  remove(path);
  text_free(&text);
  arena_free(&arena);
}

int main(int argc, char **argv) {
  RUN(names_are_words_of_their_own);
  RUN(every_task_has_a_program_and_a_word);
  RUN(only_what_is_not_default_counts);
  RUN(what_follows_is_known);
  RUN(files_and_settings_come_back);
  return check_end();
}
