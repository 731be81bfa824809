#pragma once
// Answers "hello" to requests of HTTP/1.1. It is a measure and no server: it looks for the ends of
// heads only, whatever was asked for, and requests have no bodies. uring.h or epoll.h comes first.

static _Thread_local char hello[128];
static _Thread_local size_t hello_bytes;
static _Thread_local time_t hello_at;

/// The shortest thing that is taken for the end of a head has two bytes.
static size_t room_for(size_t bytes) { return (bytes / 2 + 1) * sizeof hello; }

/// The date is of this second.
static void refresh_hello(void) {
  const time_t now = time(NULL);
  if (now == hello_at) return;
  hello_at = now;
  struct tm parts;
  hello_bytes = strftime(hello, sizeof hello,
                         "HTTP/1.1 200 OK\r\nDate: %a, %d %b %Y %H:%M:%S GMT\r\n"
                         "Content-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n",
                         gmtime_r(&now, &parts));
}

/// All of data is looked at before the first answer takes its place.
static uint32_t answer(struct connection* c, char* data, uint32_t bytes) {
  uint32_t answers = 0;
  for (uint32_t at = 0; at < bytes;) {
    const char* end = memchr(data + at, '\n', bytes - at);
    const uint32_t part = (uint32_t)((end ? end : data + bytes) - (data + at));
    c->line_bytes += part;
    at += part;
    if (!end) break;
    if (c->line_bytes == 1) ++answers;  // the \r
    c->line_bytes = 0;
    ++at;
  }
  if (answers == 0) return 0;
  refresh_hello();
  for (uint32_t i = 0; i < answers; ++i) memcpy(data + i * hello_bytes, hello, hello_bytes);
  add(&count.requests, answers);
  return answers * (uint32_t)hello_bytes;
}
