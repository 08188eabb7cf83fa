/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libbpf says. It reports as text, through one callback for the process that runs on the thread which
 * called libbpf. So a thread-local pointer says where the text goes: that is how the verifier's words reach
 * the exception.
 */
#include "handles.h"

#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOG_LIMIT = 32 << 20 }; /* the kernel's own limit for one log is 16 MiB */

static _Thread_local struct text *listener;

static bool make_room(struct text *text, size_t more)
{
	size_t room = text->room ? text->room : 4096;
	char *data;

	while (room < text->length + more)
		room *= 2;
	if (room == text->room)
		return true;
	if (room > LOG_LIMIT)
		return false;
	data = realloc(text->data, room);
	if (!data)
		return false;
	text->data = data;
	text->room = room;
	return true;
}

static int on_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	va_list again;
	int length;

	if (!listener || level == LIBBPF_DEBUG)
		return 0;
	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length > 0 && make_room(listener, (size_t)length + 1)) {
		vsnprintf(listener->data + listener->length, (size_t)length + 1, format, arguments);
		listener->length += (size_t)length;
	}
	return 0;
}

static void set_print(void)
{
	libbpf_set_print(on_print);
}

void log_into(struct text *text)
{
	listener = text;
}

void log_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT; /* worker threads initialise the addon again */

	pthread_once(&once, set_print);
}
