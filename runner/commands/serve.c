// isoloss serve: a web page of the runs, as they are.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/signals.h"
#include "runner/commands.h"
#include "runner/live/server.h"

static const char *make_token(struct arena *arena, struct error *error) {
  unsigned char bytes[16];
  char *token = arena_alloc(arena, 2 * sizeof bytes + 1);
  if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
    error_set_errno(error, EXIT_ENVIRONMENT, "no random numbers for a token");
    return NULL;
  }
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(token + 2 * i, 3, "%02x", bytes[i]);
  return token;
}

// What a cookie and an address hold without quoting.
static bool token_is_plain(const char *token) {
  size_t length = 0;
  for (; token[length]; length++)
    if (!((token[length] >= '0' && token[length] <= '9') ||
          ((token[length] | 32) >= 'a' && (token[length] | 32) <= 'z')))
      return false;
  return length >= 16 && length <= 128;
}

static void serve(const struct server_options *options, struct error *error) {
  struct signal_watch signals;
  int port;
  signal_watch_begin(&signals, 0);
  signal(SIGPIPE, SIG_IGN);
  struct server *server = server_begin(options, &port, error);
  if (server) {
    bool six = strchr(options->address, ':') != NULL;
    printf("http://%s%s%s:%d/%s%s\n", six ? "[" : "", options->address, six ? "]" : "", port,
           options->token ? "?token=" : "", options->token ? options->token : "");
    fflush(stdout);
    fprintf(stderr, "shows %s; Ctrl-C ends it\n", options->home);
    server_follow(server, signals.descriptor);
    server_end(server);
  }
  signal(SIGPIPE, SIG_DFL);
  signal_watch_end(&signals);
}

void command_serve(struct command_line *line) {
  struct server_options a = {.address = "127.0.0.1", .interval = 2};
  int64_t port = 8390;
  const struct option options[] = {
      {"port", 0, OPTION_INTEGER, &port, "N", "(default 8390; 0: any that is free)"},
      {"address", 0, OPTION_TEXT, &a.address, "ADDRESS",
       "of a network that others reach it by (default 127.0.0.1: nobody)"},
      {"token", 0, OPTION_TEXT, &a.token, "WORD",
       "what the address in a browser must bring (default, for others: random)"},
      {"interval", 0, OPTION_NUMBER, &a.interval, "SECONDS", "between two looks at the store (default 2)"},
      {0}};
  const struct command_usage usage = {
      "isoloss serve [--port N] [--address ADDRESS]",
      "A web page of the home's experiments: runs, loss curves that grow, formats against each other, fits, the report. It\n"
      "only shows; nothing can be changed by it. Without --address this machine alone reaches it; from elsewhere use\n"
      "ssh -L 8390:localhost:8390 HOST. Prints the address to open.",
      0, 0, "nothing"};
  if (!command_begin(line, &usage, options) || !server_available(&line->error)) return;
  a.home = isoloss_home(&line->arena);
  a.port = (int)port;
  if (port < 0 || port > 65535)
    error_set(&line->error, EXIT_USAGE_ERROR, "serve: --port takes 0 to 65535");
  else if (!(a.interval >= 0.2 && a.interval <= 3600))
    error_set(&line->error, EXIT_USAGE_ERROR, "serve: --interval takes 0.2 to 3600 seconds");
  else if (a.token && !token_is_plain(a.token))
    error_set(&line->error, EXIT_USAGE_ERROR, "serve: --token takes 16 to 128 letters and digits");
  else {
    if (!a.token && !address_is_loopback(a.address)) a.token = make_token(&line->arena, &line->error);
    if (!line->error.code) serve(&a, &line->error);
  }
}
