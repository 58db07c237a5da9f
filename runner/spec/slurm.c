// `run: {slurm: ...}`; see slurm.h.
#include "runner/spec/slurm.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"

enum { STOP_BEFORE = 120, MOST_IN_A_JOB = 100000 };

void slurm_profile_default(struct slurm_profile *profile) {
  *profile = (struct slurm_profile){.runs_per_job = 1, .slots_per_gpu = 1, .stop_before = STOP_BEFORE};
}

// Days, hours, minutes and seconds as sbatch has them: after a '-' hours come first, else the last part is seconds.
static double slurm_clock(const char *text) {
  int days = 0, parts[3] = {0}, used = 0, count = 0;
  const char *dash = strchr(text, '-'), *at = text;
  if (strspn(text, "0123456789:-") != strlen(text)) return NAN;
  if (dash) {
    if (sscanf(text, "%6d-%n", &days, &used) != 1 || used != dash + 1 - text) return NAN;
    at = dash + 1;
  }
  for (; count < 3; at += used) {
    if (sscanf(at, "%6d%n", &parts[count], &used) != 1 || *at == '-') return NAN;
    count++;
    if (at[used] == '\0') break;
    if (at[used] != ':') return NAN;
    used++;
  }
  if (at[used] != '\0' || (!dash && count < 2)) return NAN;
  double seconds = dash         ? 3600.0 * parts[0] + 60.0 * parts[1] + parts[2]
                   : count == 2 ? 60.0 * parts[0] + parts[1]
                                : 3600.0 * parts[0] + 60.0 * parts[1] + parts[2];
  return 86400.0 * days + seconds;
}

double slurm_time_seconds(const char *text) {
  double seconds = strspn(text, "0123456789.") < strlen(text) ? spec_seconds(text) : NAN;
  if (isnan(seconds)) seconds = slurm_clock(text);
  return seconds >= 60 ? seconds : NAN;
}

// A scalar's text that is on one line of a script; NULL after a diagnostic.
static const char *read_line(const struct node *node, const char *key, struct arena *arena,
                             struct diagnostics *diagnostics) {
  if (node->kind != NODE_SCALAR || node_is_null(node) || !*node->text) {
    node_error(node, diagnostics, NULL, "slurm: %s must be text, not %s", key,
               node->kind == NODE_SCALAR && !node_is_null(node) ? "empty" : node_kind_name(node));
    return NULL;
  }
  for (const char *c = node->text; *c; c++)
    if ((unsigned char)*c < ' ') {
      node_error(node, diagnostics, NULL, "slurm: %s must be on one line", key);
      return NULL;
    }
  return arena_string(arena, node->text);
}

// One word, as sbatch's options take it.
static const char *read_word(const struct node *node, const char *key, struct arena *arena,
                             struct diagnostics *diagnostics) {
  const char *text = read_line(node, key, arena, diagnostics);
  if (!text || !strpbrk(text, " \"'\\#")) return text;
  node_error(node, diagnostics, NULL, "slurm: %s must be one word, not '%.60s'", key, text);
  return NULL;
}

static void read_options(const struct node *node, struct slurm_profile *profile, struct arena *arena,
                         struct diagnostics *diagnostics) {
  // What the executor gives itself: two of them would contradict each other.
  static const char *const ours[] = {"--array",    "-a", "--output", "-o",          "--error",    "-e",
                                     "--job-name", "-J", "--signal", "--open-mode", "--parsable", "--wrap"};
  static const char example[] = "options: [--exclusive, --mail-type=FAIL]";
  if (node->kind != NODE_SEQUENCE) {
    node_error(node, diagnostics, example, "slurm: options must be a list, not %s", node_kind_name(node));
    return;
  }
  profile->options = arena_array(arena, node->count + 1, sizeof *profile->options);
  profile->option_count = 0;
  for (size_t i = 0; i < node->count; i++) {
    const char *word = read_word(node->items[i], "options", arena, diagnostics);
    if (!word) continue;
    bool taken = false;
    for (size_t j = 0; j < sizeof ours / sizeof *ours; j++)
      taken = taken || strcmp(word, ours[j]) == 0 ||
              (starts_with(ours[j], "--") && starts_with(word, ours[j]) && word[strlen(ours[j])] == '=');
    if (word[0] != '-' || !(isalpha((unsigned char)word[1]) || word[1] == '-'))
      node_error(node->items[i], diagnostics, example, "slurm: '%.60s' is no option of sbatch", word);
    else if (taken)
      node_error(node->items[i], diagnostics, NULL, "slurm: isoloss itself gives %.60s to sbatch", word);
    else
      profile->options[profile->option_count++] = word;
  }
}

static void read_count(const struct node *node, const char *key, int64_t *value, struct diagnostics *diagnostics) {
  int64_t number;
  if (node_integer(node, &number) && number >= 1 && number <= MOST_IN_A_JOB)
    *value = number;
  else
    node_error(node, diagnostics, NULL, "slurm: %s must be a whole number from 1 to %d", key, MOST_IN_A_JOB);
}

static void read_time(const struct node *node, struct slurm_profile *profile, struct arena *arena,
                      struct diagnostics *diagnostics) {
  const char *text = read_line(node, "time", arena, diagnostics);
  double seconds = text ? slurm_time_seconds(text) : NAN;
  if (!isnan(seconds)) {
    profile->time = text;
    profile->time_seconds = seconds;
  } else if (text) {
    node_error(node, diagnostics, "a number with min, h or d: 6 h; or Slurm's own form: 1-12:00:00",
               "slurm: '%.60s' is no time limit of a minute or more", text);
  }
}

static void read_slots(const struct node *node, struct slurm_profile *profile, struct diagnostics *diagnostics) {
  if (node->kind == NODE_SCALAR && strcmp(node->text, "auto") == 0)
    profile->slots_per_gpu = 0;
  else if (!node_integer(node, &profile->slots_per_gpu) || profile->slots_per_gpu < 1 || profile->slots_per_gpu > 1000)
    node_error(node, diagnostics, "slots_per_gpu: auto", "slurm: slots_per_gpu must be auto, or a number of runs");
}

static void read_stop_before(const struct node *node, struct slurm_profile *profile, struct diagnostics *diagnostics) {
  double seconds = node->kind == NODE_SCALAR ? spec_seconds(node->text) : NAN;
  if (seconds >= 1 && seconds <= 65535)  // the most that sbatch takes
    profile->stop_before = seconds;
  else
    node_error(node, diagnostics, "stop_before: 5 min", "slurm: stop_before must be a duration of at most 18 h");
}

void slurm_profile_read(const struct node *mapping, struct slurm_profile *profile, struct arena *arena,
                        struct diagnostics *diagnostics) {
  static const struct {
    const char *key;
    size_t member;
  } words[] = {
      {"partition", offsetof(struct slurm_profile, partition)},
      {"account", offsetof(struct slurm_profile, account)},
      {"qos", offsetof(struct slurm_profile, qos)},
      {"constraint", offsetof(struct slurm_profile, constraint)},
      {"gres", offsetof(struct slurm_profile, gres)},
      {"memory", offsetof(struct slurm_profile, memory)},
  };
  static const struct {
    const char *key;
    size_t member;
  } counts[] = {{"cpus", offsetof(struct slurm_profile, cpus)},
                {"array_cap", offsetof(struct slurm_profile, array_cap)},
                {"runs_per_job", offsetof(struct slurm_profile, runs_per_job)}};
  const struct node *node;
  if (mapping->kind != NODE_MAPPING) {
    node_error(mapping, diagnostics, "slurm: {partition: gpu, gres: \"gpu:1\", time: 6 h}",
               "slurm must be a mapping, not %s", node_kind_name(mapping));
    return;
  }
  spec_check_keys(&spec_slurm_keys, mapping, diagnostics);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    const char *text = NULL;
    if ((node = node_find(mapping, words[i].key))) text = read_word(node, words[i].key, arena, diagnostics);
    if (text) memcpy((char *)profile + words[i].member, &text, sizeof text);
  }
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    if ((node = node_find(mapping, counts[i].key)))
      read_count(node, counts[i].key, (int64_t *)(void *)((char *)profile + counts[i].member), diagnostics);
  if ((node = node_find(mapping, "time"))) read_time(node, profile, arena, diagnostics);
  if ((node = node_find(mapping, "slots_per_gpu"))) read_slots(node, profile, diagnostics);
  if ((node = node_find(mapping, "mps")) && !node_boolean(node, &profile->mps))
    node_error(node, diagnostics, "mps: true", "slurm: mps must be true or false");
  if ((node = node_find(mapping, "follow_up"))) {
    profile->follow_up_given = node_boolean(node, &profile->follow_up);
    if (!profile->follow_up_given)
      node_error(node, diagnostics, "follow_up: true", "slurm: follow_up must be true or false");
  }
  if ((node = node_find(mapping, "stop_before"))) read_stop_before(node, profile, diagnostics);
  if ((node = node_find(mapping, "options"))) read_options(node, profile, arena, diagnostics);
  if ((node = node_find(mapping, "container"))) profile->container = read_line(node, "container", arena, diagnostics);
  node = node_find(mapping, "prologue");
  if (node && node->kind == NODE_SCALAR && !node_is_null(node))
    profile->prologue = arena_string(arena, node->text);
  else if (node)
    node_error(node, diagnostics, "prologue: |\n  module load cuda", "slurm: prologue must be text, not %s",
               node_kind_name(node));
  if (profile->time_seconds > 0 && profile->stop_before >= profile->time_seconds)
    node_error(mapping, diagnostics, "stop_before: 20 s", "slurm: stop_before is not shorter than time");
}

bool slurm_profile_load(const char *path, struct slurm_profile *profile, struct arena *arena, struct error *error) {
  struct diagnostics diagnostics = {0};
  if (!file_exists(path)) return true;
  const struct node *root = document_load(arena, path, &diagnostics, error);
  if (root) slurm_profile_read(root, profile, arena, &diagnostics);
  diagnostics_tell(&diagnostics, error);
  bool fine = !error->code && diagnostics_check(&diagnostics, path, error) && root;
  diagnostics_free(&diagnostics);
  return fine;
}
