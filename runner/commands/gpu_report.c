// isoloss gpu-report: what a GPU's check (packaging/gpu/check.sh) found, as tables in Markdown or as one JSON document.
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/commands.h"

struct findings {
  struct arena *arena;
  const char *folder;
  struct text markdown;
  struct json_writer json;
  struct text document;
};

static const char *read_part(struct findings *f, const char *name) {
  struct error ignored = {0};
  const char *path = path_join(f->arena, f->folder, name);
  const char *text = file_exists(path) ? file_read(f->arena, path, NULL, &ignored) : NULL;
  return text ? text : "";
}

// Cuts the text into its next line; NULL at its end.
static char *next_line(char **rest) {
  char *line = *rest;
  if (!*line) return NULL;
  char *end = strchr(line, '\n');
  *rest = end ? end + 1 : line + strlen(line);
  if (end) *end = '\0';
  return line;
}

// ---- the machine ----

static void add_machine(struct findings *f) {
  char *rest = arena_string(f->arena, read_part(f, "machine.txt"));
  json_key(&f->json, "machine");
  json_array_begin(&f->json);
  for (char *line; (line = next_line(&rest));) {
    text_format(&f->markdown, "- %s\n", line);
    json_put_string(&f->json, line);
  }
  rest = arena_string(f->arena, read_part(f, "nvidia-smi.csv"));
  for (char *line; (line = next_line(&rest));) {
    text_format(&f->markdown, "- %s\n", line);
    json_put_string(&f->json, line);
  }
  json_array_end(&f->json);
}

// ---- what is as it should be ----

static bool add_verdicts(struct findings *f, struct error *error) {
  const char *path = path_join(f->arena, f->folder, "verdicts.tsv");
  const char *text = file_read(f->arena, path, NULL, error);
  if (!text) return error_context(error, "gpu-report: no results of check.sh");
  char *rest = arena_string(f->arena, text);
  text_add(&f->markdown, "\n| checked | as it should be | |\n|---|---|---|\n");
  json_key(&f->json, "checks");
  json_array_begin(&f->json);
  for (char *line; (line = next_line(&rest));) {
    size_t count;
    const char **cells = text_split(f->arena, line, "\t", &count);
    if (count < 2) continue;
    bool fine = strcmp(cells[1], "yes") == 0;
    const char *more = count > 2 ? cells[2] : "";
    text_format(&f->markdown, "| %s | %s | %s |\n", cells[0], fine ? "yes" : "NO", more);
    json_object_begin(&f->json);
    json_key_string(&f->json, "check", cells[0]);
    json_key_boolean(&f->json, "good", fine);
    json_key_string(&f->json, "more", more);
    json_object_end(&f->json);
  }
  json_array_end(&f->json);
  return true;
}

// ---- speeds of runs ----

struct speed {
  double rate, light;  // tokens a second and speed of light: medians after the first steps; NAN: not known
  double peak;
  int events;
  char device[256];
};

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(double *values, int count) {
  if (count == 0) return NAN;
  qsort(values, (size_t)count, sizeof *values, by_size);
  return values[count / 2];
}

static struct speed speed_of(struct findings *f, const char *run) {
  struct speed speed = {.rate = NAN, .light = NAN, .peak = NAN};
  char *rest = arena_string(f->arena, read_part(f, arena_format(f->arena, "runs/%s/events.jsonl", run)));
  int count = 0, lights = 0;
  double *rates = NULL, *light = NULL;
  for (char *line; (line = next_line(&rest));) {
    json_t *event = json_loads(line, 0, NULL);
    const char *name = json_string_value(json_object_get(event, "event"));
    if (name && strcmp(name, "start") == 0) {
      const char *device = json_string_value(json_object_get(event, "device"));
      snprintf(speed.device, sizeof speed.device, "%s", device ? device : "");
      json_t *peak = json_object_get(event, "product_peak");
      if (json_is_number(peak)) speed.peak = json_number_value(peak);
    }
    json_t *rate = json_object_get(event, "tokens_per_second"), *share = json_object_get(event, "speed_of_light");
    if (name && strcmp(name, "step") == 0 && json_is_number(rate)) {
      rates = arena_grow(f->arena, rates, (size_t)count, (size_t)count + 1, sizeof *rates);
      rates[count++] = json_number_value(rate);
      light = arena_grow(f->arena, light, (size_t)lights, (size_t)lights + 1, sizeof *light);
      if (json_is_number(share)) light[lights++] = json_number_value(share);
    }
    json_decref(event);
  }
  speed.events = count;
  // The first events have plans, trials and recorded graphs in them.
  int warm = count > 6 ? 3 : count / 2, warm_lights = lights > 6 ? 3 : lights / 2;
  speed.rate = median(rates + warm, count - warm);
  speed.light = median(light + warm_lights, lights - warm_lights);
  return speed;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// The runs whose names begin so, sorted.
static const char **runs_named(struct findings *f, const char *prefix, size_t *count) {
  const char **names = NULL;
  *count = 0;
  DIR *folder = opendir(path_join(f->arena, f->folder, "runs"));
  if (!folder) return NULL;
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (!starts_with(entry->d_name, prefix)) continue;
    names = arena_grow(f->arena, names, *count, *count + 1, sizeof *names);
    names[(*count)++] = arena_string(f->arena, entry->d_name);
  }
  closedir(folder);
  if (names) qsort(names, *count, sizeof *names, by_name);
  return names;
}

static const char *cell(struct findings *f, double value, const char *format) {
  return isfinite(value) ? arena_format(f->arena, format, value) : "";
}

static void add_speeds(struct findings *f) {
  size_t count;
  const char **names = runs_named(f, "speed-", &count);
  json_key(&f->json, "speeds");
  json_array_begin(&f->json);
  if (count)
    text_add(&f->markdown,
             "\n| run | tokens per second | speed of light | peak, TFLOP/s | device |\n|---|---|---|---|---|\n");
  for (size_t i = 0; i < count; i++) {
    size_t parts;
    const char **part = text_split(f->arena, names[i], "-", &parts);
    if (parts < 4) continue;
    const char *format = strstr(names[i] + strlen("speed-") + strlen(part[1]) + 1, "-") + 1;
    struct speed speed = speed_of(f, names[i]);
    text_format(&f->markdown, "| %s M, %s, %s tokens | %s | %s | %s | %s |\n", part[1], format, part[2],
                cell(f, speed.rate, "%.0f"), cell(f, 100 * speed.light, "%.1f %%"), cell(f, speed.peak * 1e-12, "%.4g"),
                speed.device);
    json_object_begin(&f->json);
    json_key_string(&f->json, "run", names[i]);
    json_key_number(&f->json, "tokens_per_second", speed.rate);
    json_key_number(&f->json, "speed_of_light", speed.light);
    json_key_number(&f->json, "product_peak", speed.peak);
    json_key_string(&f->json, "device", speed.device);
    json_object_end(&f->json);
  }
  json_array_end(&f->json);
}

// ---- several at once ----

static void add_packing(struct findings *f) {
  static const char *const ways[] = {"alone", "turns", "mps"};
  static const char *const words[] = {"one", "taking turns", "with MPS"};
  bool begun = false;
  json_key(&f->json, "packing");
  json_array_begin(&f->json);
  for (int way = 0; way < 3; way++) {
    size_t count;
    const char **names = runs_named(f, arena_format(f->arena, "pack-%s-", ways[way]), &count);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += speed_of(f, names[i]).rate;
    if (!count) continue;
    if (!begun) text_add(&f->markdown, "\n| runs at once | | tokens per second, all of them |\n|---|---|---|\n");
    begun = true;
    text_format(&f->markdown, "| %zu | %s | %s |\n", count, words[way], cell(f, sum, "%.0f"));
    json_object_begin(&f->json);
    json_key_string(&f->json, "way", ways[way]);
    json_key_integer(&f->json, "runs", (int64_t)count);
    json_key_number(&f->json, "tokens_per_second", sum);
    json_object_end(&f->json);
  }
  json_array_end(&f->json);
}

// ---- kernels ----

static double number_of(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static void add_bench(struct findings *f) {
  char *rest = arena_string(f->arena, read_part(f, "bench.jsonl"));
  bool head = true;
  json_key(&f->json, "bench");
  json_array_begin(&f->json);
  for (char *line; (line = next_line(&rest));) {
    json_t *row = json_loads(line, 0, NULL);
    if (!row) continue;
    json_put_raw(&f->json, line);
    if (json_object_get(row, "device")) {
      text_format(&f->markdown,
                  "\n| device | peak bfloat16, TFLOP/s | peak float32 | copying, GB/s |\n|---|---|---|---|\n");
      text_format(&f->markdown, "| %s: %s | %s | %s | %s |\n", text_of(row, "backend"), text_of(row, "device"),
                  cell(f, number_of(row, "peak_bfloat16") * 1e-12, "%.4g"),
                  cell(f, number_of(row, "peak_float32") * 1e-12, "%.4g"),
                  cell(f, number_of(row, "copy_bytes_per_second") * 1e-9, "%.4g"));
    } else {
      double seconds = number_of(row, "seconds");
      if (head)
        text_add(&f->markdown,
                 "\n| pass | shape | dtype | microseconds | TFLOP/s | GB/s | floor / time | bound |\n"
                 "|---|---|---|---|---|---|---|---|\n");
      head = false;
      text_format(&f->markdown, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", text_of(row, "pass"),
                  text_of(row, "shape"), text_of(row, "dtype"), cell(f, seconds * 1e6, "%.1f"),
                  cell(f, number_of(row, "flops") / seconds * 1e-12, "%.3g"),
                  cell(f, number_of(row, "bytes") / seconds * 1e-9, "%.4g"),
                  cell(f, number_of(row, "floor_seconds") / seconds, "%.2f"), text_of(row, "bound"));
    }
    json_decref(row);
  }
  json_array_end(&f->json);
}

void command_gpu_report(struct command_line *line) {
  bool as_json = false;
  const struct option options[] = {{"json", 0, OPTION_FLAG, &as_json, NULL, "one JSON document"}, {0}};
  const struct command_usage usage = {
      "isoloss gpu-report FOLDER [options]",
      "Prints what the check of a GPU found (ninja gpu-check packs it; docs/gpu.md): the machine, what was checked and\n"
      "whether it was as it should be, speeds of trainings with their share of the speed of light, several runs at\n"
      "once, and each operation against its floor, as tables in Markdown. FOLDER is the one that check.sh wrote.",
      1, 1, "one folder of results"};
  if (!command_begin(line, &usage, options)) return;
  struct findings f = {.arena = &line->arena, .folder = line->arguments[0]};
  f.json = json_writer(&f.document, true);
  json_object_begin(&f.json);
  add_machine(&f);
  if (add_verdicts(&f, &line->error)) {
    add_speeds(&f);
    add_packing(&f);
    add_bench(&f);
    json_object_end(&f.json);
    printf("%s%s", text_string(as_json ? &f.document : &f.markdown), as_json ? "\n" : "");
  }
  text_free(&f.markdown);
  text_free(&f.document);
}
