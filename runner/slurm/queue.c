// See queue.h.
#include "runner/slurm/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/execute/ask.h"

enum { PATIENCE = 60 };  // seconds for an answer

static const struct {
  const char *state;
  enum slurm_end end;
} states[] = {
    {"PENDING", SLURM_ACTIVE},        {"RUNNING", SLURM_ACTIVE},        {"CONFIGURING", SLURM_ACTIVE},
    {"COMPLETING", SLURM_ACTIVE},     {"SUSPENDED", SLURM_ACTIVE},      {"STOPPED", SLURM_ACTIVE},
    {"SIGNALING", SLURM_ACTIVE},      {"STAGE_OUT", SLURM_ACTIVE},      {"REQUEUED", SLURM_ACTIVE},
    {"REQUEUE_HOLD", SLURM_ACTIVE},   {"REQUEUE_FED", SLURM_ACTIVE},    {"SPECIAL_EXIT", SLURM_ACTIVE},
    {"RESIZING", SLURM_ACTIVE},       {"RESV_DEL_HOLD", SLURM_ACTIVE},  {"COMPLETED", SLURM_COMPLETED},
    {"FAILED", SLURM_FAILED},         {"CANCELLED", SLURM_CANCELLED},   {"REVOKED", SLURM_CANCELLED},
    {"TIMEOUT", SLURM_TIMED_OUT},     {"DEADLINE", SLURM_TIMED_OUT},    {"PREEMPTED", SLURM_PREEMPTED},
    {"NODE_FAIL", SLURM_NODE_FAILED}, {"BOOT_FAIL", SLURM_NODE_FAILED}, {"OUT_OF_MEMORY", SLURM_OUT_OF_MEMORY},
};

enum slurm_end slurm_end_of(const char *state) {
  size_t length = strcspn(state, " +");
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (strlen(states[i].state) == length && strncmp(states[i].state, state, length) == 0) return states[i].end;
  return SLURM_UNKNOWN;
}

const char *slurm_end_words(enum slurm_end end) {
  static const char *const words[SLURM_ENDS] = {
      [SLURM_UNKNOWN] = "is gone",
      [SLURM_ACTIVE] = "continues",
      [SLURM_COMPLETED] = "ended",
      [SLURM_FAILED] = "failed",
      [SLURM_CANCELLED] = "was cancelled",
      [SLURM_TIMED_OUT] = "reached its time limit",
      [SLURM_PREEMPTED] = "was preempted",
      [SLURM_NODE_FAILED] = "lost its node",
      [SLURM_OUT_OF_MEMORY] = "ran out of memory",
  };
  return words[end];
}

// Splits a line at '|' into `count` parts, the last of which takes the rest; false when there are fewer.
static bool split(char *line, char **parts, int count) {
  for (int i = 0; i < count; i++) {
    parts[i] = line;
    char *bar = i + 1 < count ? strchr(line, '|') : NULL;
    if (i + 1 < count && !bar) return false;
    if (bar) *bar = '\0';
    if (bar) line = bar + 1;
  }
  return true;
}

void queue_ask(struct queue *queue, struct arena *arena) {
  struct asked asked;
  char words[304];
  const char *const arguments[] = {"squeue",
                                   "--noheader",
                                   "--array",
                                   "--states=all",
                                   "--user",
                                   arena_format(arena, "%ld", (long)getuid()),
                                   "--format=%F|%K|%T|%N|%r|%j",
                                   NULL};
  *queue = (struct queue){0};
  asked_run(&asked, arguments, PATIENCE);
  queue->answered = asked.ran && asked.code == 0;
  if (!queue->answered) queue->said = arena_string(arena, asked_words(&asked, words));
  char *text = arena_string(arena, text_string(&asked.out));
  asked_free(&asked);
  for (char *line = text, *end; queue->answered && (end = strchr(line, '\n')); line = end + 1) {
    char *parts[6], *rest;
    *end = '\0';
    if (!split(line, parts, 6)) continue;
    long long task = strtoll(parts[1], &rest, 10);
    if (!*parts[1] || *rest || task < 0) continue;  // no task of an array: not ours
    queue->items = arena_grow(arena, queue->items, queue->count, queue->count + 1, sizeof *queue->items);
    queue->items[queue->count++] = (struct queued){
        .job = parts[0], .task = task, .state = parts[2], .node = parts[3], .reason = parts[4], .name = parts[5]};
  }
}

const struct queued *queue_find(const struct queue *queue, const char *job, size_t task) {
  for (size_t i = 0; i < queue->count; i++)
    if (queue->items[i].task == (int64_t)task && strcmp(queue->items[i].job, job) == 0) return &queue->items[i];
  return NULL;
}

const char *queue_find_name(const struct queue *queue, const char *name) {
  for (size_t i = 0; i < queue->count; i++)
    if (strcmp(queue->items[i].name, name) == 0) return queue->items[i].job;
  return NULL;
}

const char **accounting_ask(struct arena *arena, const struct submission *submission) {
  struct asked asked;
  const char *const arguments[] = {"sacct",  "--parsable2",   "--noheader",           "--allocations",
                                   "--jobs", submission->job, "--format=JobID,State", NULL};
  asked_run(&asked, arguments, PATIENCE);
  bool answered = asked.ran && asked.code == 0;
  char *text = arena_string(arena, text_string(&asked.out));
  asked_free(&asked);
  const char **words = answered ? arena_array(arena, submission->task_count, sizeof *words) : NULL;
  size_t length = strlen(submission->job);
  for (char *line = text, *end; words && (end = strchr(line, '\n')); line = end + 1) {
    char *parts[2], *rest;
    *end = '\0';
    if (!split(line, parts, 2) || strncmp(parts[0], submission->job, length) != 0 || parts[0][length] != '_') continue;
    long long task = strtoll(parts[0] + length + 1, &rest, 10);
    if (*rest == '\0' && task >= 0 && task < (long long)submission->task_count) words[task] = parts[1];
  }
  return words;
}

// ---- limits ----

static int64_t config_number(const char *config, const char *key) {
  size_t length = strlen(key);
  for (const char *line = config; line; line = strchr(line, '\n')) {
    line += strspn(line, "\n ");
    if (strncmp(line, key, length) != 0) continue;
    const char *value = line + length + strspn(line + length, " ");
    if (*value == '=') return strtoll(value + 1, NULL, 10);
  }
  return 0;
}

void slurm_limits_ask(struct slurm_limits *limits, struct arena *arena) {
  static const char *const config[] = {"scontrol", "show", "config", NULL};
  static const char *const jobs[] = {"squeue", "--noheader", "--array", "--states=all", "--format=%F", NULL};
  struct asked asked;
  *limits = (struct slurm_limits){0};
  asked_run(&asked, config, PATIENCE);
  if (asked.ran && asked.code == 0) {
    limits->array_size = config_number(text_string(&asked.out), "MaxArraySize");
    limits->jobs = config_number(text_string(&asked.out), "MaxJobCount");
  }
  asked_free(&asked);
  asked_run(&asked, jobs, PATIENCE);
  if (asked.ran && asked.code == 0)
    for (size_t i = 0; i < asked.out.length; i++) limits->present += asked.out.bytes[i] == '\n';
  asked_free(&asked);
}
