// See gpus.h.
#include "runner/execute/gpus.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known_gpu {
  char index[16], uuid[96];  // of an instance of MIG no index
  double bytes;
  bool split;      // into instances of MIG: what is handed out are those
  bool exclusive;  // compute mode Exclusive_Process: one process at a time
  bool closed;     // compute mode Prohibited
};
struct known_gpus {
  struct known_gpu *items;
  size_t count;
};

static char *trimmed(char *text) {
  while (isspace((unsigned char)*text)) text++;
  size_t length = strlen(text);
  while (length > 0 && isspace((unsigned char)text[length - 1])) text[--length] = '\0';
  return text;
}

static struct known_gpu *add(struct arena *arena, struct known_gpus *gpus) {
  gpus->items = arena_grow(arena, gpus->items, gpus->count, gpus->count + 1, sizeof *gpus->items);
  struct known_gpu *gpu = &gpus->items[gpus->count++];
  *gpu = (struct known_gpu){.bytes = NAN};
  return gpu;
}

// The GPUs of one call of nvidia-smi, whose columns may be "[N/A]" or missing; false when it is not there or fails.
static bool query(struct arena *arena, const char *columns, struct known_gpus *gpus) {
  *gpus = (struct known_gpus){0};
  FILE *answer =
      popen(arena_format(arena, "nvidia-smi --query-gpu=%s --format=csv,noheader,nounits 2>/dev/null", columns), "r");
  if (!answer) return false;
  char line[320];
  while (fgets(line, sizeof line, answer)) {
    char *save = NULL, *cells[5];
    int count = 0;
    for (char *cell = strtok_r(line, ",", &save); cell && count < 5; cell = strtok_r(NULL, ",", &save))
      cells[count++] = trimmed(cell);
    if (count < 3) continue;
    struct known_gpu *gpu = add(arena, gpus);
    snprintf(gpu->index, sizeof gpu->index, "%s", cells[0]);
    snprintf(gpu->uuid, sizeof gpu->uuid, "%s", cells[1]);
    double mebibytes;
    if (number_parse(cells[2], &mebibytes)) gpu->bytes = mebibytes * 1048576;
    gpu->split = count > 3 && strcmp(cells[3], "Enabled") == 0;
    gpu->exclusive = count > 4 && starts_with(cells[4], "Exclusive");
    gpu->closed = count > 4 && strcmp(cells[4], "Prohibited") == 0;
  }
  return pclose(answer) == 0 && gpus->count > 0;
}

// The instances of MIG, from lines such as
//   MIG 1g.10gb     Device  0: (UUID: MIG-6d29f2f8-...)
// A profile's name rounds the memory up: as for whole cards, 0.92 GiB of each gigabyte are counted.
static void add_instances(struct arena *arena, struct known_gpus *gpus) {
  FILE *answer = popen("nvidia-smi -L 2>/dev/null", "r");
  char line[320];
  while (answer && fgets(line, sizeof line, answer)) {
    const char *text = trimmed(line), *uuid = strstr(line, "UUID: MIG-"), *memory = strstr(line, "g.");
    if (!starts_with(text, "MIG ") || !uuid) continue;
    struct known_gpu *gpu = add(arena, gpus);
    snprintf(gpu->uuid, sizeof gpu->uuid, "%.*s", (int)strcspn(uuid + 6, ") \n"), uuid + 6);
    char *end;
    double gigabytes = memory ? strtod(memory + 2, &end) : 0;
    if (gigabytes > 0 && starts_with(end, "gb")) gpu->bytes = gigabytes * 0.92 * 1073741824;
  }
  if (answer) pclose(answer);
}

// The machine's GPUs and their instances; false when nvidia-smi is not there or fails.
static bool ask(struct arena *arena, struct known_gpus *gpus) {
  // Drivers before MIG do not know its column.
  if (!query(arena, "index,uuid,memory.total,mig.mode.current,compute_mode", gpus) &&
      !query(arena, "index,uuid,memory.total", gpus))
    return false;
  bool split = false;
  for (size_t i = 0; i < gpus->count; i++) split = split || gpus->items[i].split;
  if (split) add_instances(arena, gpus);
  return true;
}

static bool is_uuid(const char *name) { return starts_with(name, "GPU-") || starts_with(name, "MIG-"); }

static const struct known_gpu *find(const struct known_gpus *gpus, const char *name) {
  for (size_t i = 0; i < gpus->count; i++) {
    const struct known_gpu *gpu = &gpus->items[i];
    if ((gpu->index[0] && strcmp(gpu->index, name) == 0) || (is_uuid(name) && starts_with(gpu->uuid, name))) return gpu;
  }
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

static bool is_number(const char *name) {
  return *name && strspn(name, "0123456789") == strlen(name) && strlen(name) < 5;
}

// What an inherited CUDA_VISIBLE_DEVICES leaves: its names up to the first that is none, as CUDA reads it. NULL text:
// it is not set, everything is visible.
struct visible {
  const char *text, **names;
  size_t count;
};

static struct visible read_visible(struct arena *arena, const char *text) {
  struct visible visible = {.text = text};
  if (!text) return visible;
  size_t count;
  visible.names = text_split(arena, text, ", ", &count);
  while (visible.count < count && (is_number(visible.names[visible.count]) || is_uuid(visible.names[visible.count])))
    visible.count++;
  return visible;
}

// All names that `all` means, comma-separated.
static const char *all_names(struct arena *arena, const struct known_gpus *known, const struct visible *visible) {
  struct text names = {0};
  for (size_t i = 0; i < visible->count; i++) text_format(&names, "%s%s", i ? "," : "", visible->names[i]);
  for (size_t i = 0; i < known->count && !visible->text; i++) {
    const struct known_gpu *gpu = &known->items[i];
    if (!gpu->split && !gpu->closed)
      text_format(&names, "%s%s", names.length ? "," : "", gpu->index[0] ? gpu->index : gpu->uuid);
  }
  const char *copy = arena_string(arena, text_string(&names));
  text_free(&names);
  return copy;
}

// The name that CUDA_VISIBLE_DEVICES shall have for what the user calls `name`: numbers count within what is visible.
static bool visible_name(const char **name, const struct known_gpus *known, const struct visible *visible,
                         struct error *error) {
  if (!visible->text) return true;
  int64_t number = -1;
  if (is_number(*name)) {
    if (!integer_parse(*name, &number) || number < 0 || (size_t)number >= visible->count)
      return error_set(error, EXIT_ENVIRONMENT,
                       "--gpus: there is no GPU %s: CUDA_VISIBLE_DEVICES=%s leaves %zu, counted from 0", *name,
                       visible->text, visible->count);
    *name = visible->names[number];
    return true;
  }
  const struct known_gpu *gpu = find(known, *name);
  for (size_t i = 0; i < visible->count; i++) {
    const char *there = visible->names[i];
    if ((gpu && find(known, there) == gpu) || starts_with(there, *name) ||
        (is_uuid(there) && starts_with(*name, there)))
      return true;
  }
  return error_set(error, EXIT_ENVIRONMENT, "--gpus: %s is not visible here: CUDA_VISIBLE_DEVICES=%s", *name,
                   visible->text);
}

bool gpu_list_read(struct arena *arena, const char *text, const char *memory, const char *inherited,
                   struct gpu_list *list, struct error *error) {
  struct known_gpus known;
  struct visible visible = read_visible(arena, inherited);
  bool asked = ask(arena, &known), all = strcmp(text, "all") == 0;
  *list = (struct gpu_list){0};
  double bytes = NAN;
  if (!asked) known = (struct known_gpus){0};
  if (memory && !memory_size_parse(memory, &bytes))
    return error_set(error, EXIT_USAGE_ERROR, "--gpu-memory '%s': bytes, such as 24G or 81920M", memory);
  if (visible.text && visible.count == 0)
    return error_set(error, EXIT_ENVIRONMENT, "--gpus %s: CUDA_VISIBLE_DEVICES='%s' leaves no GPU", text, visible.text);
  const char *there = all_names(arena, &known, &(struct visible){0});
  if (all && !asked && !visible.text)
    return error_set(error, EXIT_ENVIRONMENT,
                     "--gpus all: nvidia-smi is not there or finds no GPU; name them: --gpus 0,1");
  size_t named;
  const char *wanted = all ? all_names(arena, &known, &visible) : text,
             **names = text_split(arena, wanted, ", ", &named);
  bool fine = named > 0 && !ends_with(wanted, ",") && wanted[0] != ',' && !strstr(wanted, ",,");
  if (!fine && all)
    return error_set(error, EXIT_ENVIRONMENT, "--gpus all: no GPU of this machine takes work (compute mode, MIG)");
  if (!fine) error_set(error, EXIT_USAGE_ERROR, "--gpus '%s': a list such as 0,1,2,3, or all", text);
  for (size_t i = 0; i < named && fine; i++) {
    const char *name = names[i];
    if (!is_number(name) && !is_uuid(name)) {
      fine = error_set(error, EXIT_USAGE_ERROR,
                       "--gpus: '%s' is neither a GPU's number nor its UUID (GPU-..., MIG-...)", name);
      break;
    }
    if (!all) fine = visible_name(&name, &known, &visible, error);
    for (size_t j = 0; j < list->count && fine; j++)
      if (strcmp(list->items[j].name, name) == 0)
        fine = error_set(error, EXIT_USAGE_ERROR, "--gpus: %s is named twice (--per-gpu N puts several runs on one)",
                         name);
    const struct known_gpu *gpu = fine ? find(&known, name) : NULL;
    if (fine && asked && !gpu && !starts_with(name, "MIG-"))
      fine = error_set(error, EXIT_ENVIRONMENT, "--gpus: there is no GPU %s: nvidia-smi knows %s", name, there);
    if (fine && gpu && gpu->closed)
      fine = error_set(error, EXIT_ENVIRONMENT, "--gpus: GPU %s takes no work: its compute mode is Prohibited", name);
    list->items = arena_grow(arena, list->items, list->count, list->count + 1, sizeof *list->items);
    struct gpu *item = &list->items[list->count++];
    *item = (struct gpu){.name = name, .bytes = !isnan(bytes) ? bytes : gpu ? gpu->bytes : NAN};
    item->exclusive = gpu && gpu->exclusive;
    item->instance = starts_with(name, "MIG-") || (gpu && gpu->split);
    // A card that is split has instances, of which CUDA takes the first: its own memory says nothing of that one's.
    if (gpu && gpu->split && isnan(bytes)) item->bytes = NAN;
  }
  return fine;
}
