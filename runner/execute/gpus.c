// See gpus.h.
#include "runner/execute/gpus.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known_gpu {
  char index[16], uuid[80];
  double bytes;
};

static char *trimmed(char *text) {
  while (isspace((unsigned char)*text)) text++;
  size_t length = strlen(text);
  while (length > 0 && isspace((unsigned char)text[length - 1])) text[--length] = '\0';
  return text;
}

// The machine's GPUs; false when nvidia-smi is not there or fails.
static bool ask(struct arena *arena, struct known_gpu **gpus, size_t *count) {
  *gpus = NULL;
  *count = 0;
  FILE *answer = popen("nvidia-smi --query-gpu=index,uuid,memory.total --format=csv,noheader,nounits 2>/dev/null", "r");
  if (!answer) return false;
  char line[256];
  while (fgets(line, sizeof line, answer)) {
    char *save = NULL, *index = strtok_r(line, ",", &save), *uuid = strtok_r(NULL, ",", &save),
         *memory = strtok_r(NULL, ",", &save);
    if (!memory) continue;
    *gpus = arena_grow(arena, *gpus, *count, *count + 1, sizeof **gpus);
    struct known_gpu *gpu = &(*gpus)[(*count)++];
    snprintf(gpu->index, sizeof gpu->index, "%s", trimmed(index));
    snprintf(gpu->uuid, sizeof gpu->uuid, "%s", trimmed(uuid));
    double mebibytes;
    gpu->bytes = number_parse(trimmed(memory), &mebibytes) ? mebibytes * 1048576 : NAN;
  }
  return pclose(answer) == 0 && *count > 0;
}

static const struct known_gpu *find(const struct known_gpu *gpus, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(gpus[i].index, name) == 0 || (starts_with(name, "GPU-") && starts_with(gpus[i].uuid, name)))
      return &gpus[i];
  return NULL;
}

bool memory_size_parse(const char *text, double *bytes) {
  char number[32];
  size_t length = strlen(text);
  double unit = 1;
  if (length == 0 || length >= sizeof number) return false;
  memcpy(number, text, length + 1);
  if (number[length - 1] == 'G' || number[length - 1] == 'M') {
    unit = number[length - 1] == 'G' ? 1073741824.0 : 1048576.0;
    number[length - 1] = '\0';
  }
  if (!number_parse(number, bytes) || !(*bytes > 0) || isinf(*bytes)) return false;
  *bytes *= unit;
  return true;
}

bool gpu_list_read(struct arena *arena, const char *text, const char *memory, struct gpu_list *list,
                   struct error *error) {
  struct known_gpu *known;
  size_t known_count;
  bool asked = ask(arena, &known, &known_count), all = strcmp(text, "all") == 0;
  *list = (struct gpu_list){0};
  double bytes = NAN;
  if (memory && !memory_size_parse(memory, &bytes))
    return error_set(error, EXIT_USAGE_ERROR, "--gpu-memory '%s': bytes, such as 24G or 81920M", memory);
  if (all && !asked)
    return error_set(error, EXIT_ENVIRONMENT,
                     "--gpus all: nvidia-smi is not there or finds no GPU; name them: --gpus 0,1");
  struct text there = {0};
  for (size_t i = 0; i < known_count; i++) text_format(&there, "%s%s", i ? "," : "", known[i].index);
  size_t named;
  const char *wanted = all ? text_string(&there) : text, **names = text_split(arena, wanted, ", ", &named);
  bool fine = named > 0 && !ends_with(wanted, ",") && wanted[0] != ',' && !strstr(wanted, ",,");
  if (!fine) error_set(error, EXIT_USAGE_ERROR, "--gpus '%s': a list such as 0,1,2,3, or all", text);
  for (size_t i = 0; i < named && fine; i++) {
    const char *name = names[i];
    bool number = *name && strspn(name, "0123456789") == strlen(name) && strlen(name) < 5;
    if (!number && !starts_with(name, "GPU-") && !starts_with(name, "MIG-")) {
      fine = error_set(error, EXIT_USAGE_ERROR,
                       "--gpus: '%s' is neither a GPU's number nor its UUID (GPU-..., MIG-...)", name);
      break;
    }
    for (size_t j = 0; j < list->count && fine; j++)
      if (strcmp(list->items[j].name, name) == 0)
        fine = error_set(error, EXIT_USAGE_ERROR, "--gpus: %s is named twice (--per-gpu N puts several runs on one)",
                         name);
    const struct known_gpu *gpu = asked ? find(known, known_count, name) : NULL;
    if (fine && asked && !gpu && !starts_with(name, "MIG-"))
      fine = error_set(error, EXIT_ENVIRONMENT, "--gpus: there is no GPU %s: nvidia-smi knows %s", name,
                       text_string(&there));
    list->items = arena_grow(arena, list->items, list->count, list->count + 1, sizeof *list->items);
    list->items[list->count++] = (struct gpu){name, !isnan(bytes) ? bytes : gpu ? gpu->bytes : NAN};
  }
  text_free(&there);
  return fine;
}
