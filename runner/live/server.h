// The web page of a home, for people who watch its runs: read-only, on libmicrohttpd.
//
// One thread answers requests from the store; the caller's thread looks at the store every few seconds, where it was
// written to, and sends what is new to the pages that are open (server-sent events).
#pragma once
#include "base/base.h"

struct server_options {
  const char *home;
  const char *address;  // numeric, or localhost
  int port;             // 0: any that is free
  const char *token;    // what requests must bring; NULL: nothing, where the address is of this machine alone
  double interval;      // seconds between two looks
};
struct server;

// False with an error in a build without libmicrohttpd.
bool server_available(struct error *error);
// True for an address that only this machine reaches.
bool address_is_loopback(const char *address);
// Begins to listen and to answer. NULL on error: EXIT_USAGE_ERROR for an address that is none, EXIT_ENVIRONMENT for one
// that cannot be had. *port gets the one that it has.
struct server *server_begin(const struct server_options *options, int *port, struct error *error);
// Looks again and again, until a signal can be read from the descriptor (signalfd).
void server_follow(struct server *server, int signals);
void server_end(struct server *server);
