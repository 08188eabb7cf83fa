// SPDX-License-Identifier: Apache-2.0
/* Runs a pinned BPF program on frames, each time on a fresh copy, and prints what it returned and how many nanoseconds it took.
 *
 *   testrun PIN CONTEXT RUNS <frames
 *
 * CONTEXT is the program's context struct in hexadecimal. Each frame has its length in two bytes (little-endian) before it. They are run
 * in turn until there were RUNS. Nothing but system calls lies between two runs, so caches are about as warm as under traffic.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_FRAMES 4096
#define MOST_BYTES  (1 << 22)
#define MOST_RUNS   65536

struct frame {
	const uint8_t *bytes;
	uint16_t length;
};

struct outcome {
	uint32_t verdict, nanoseconds;
};

static uint8_t input[MOST_BYTES], context[256];
static struct frame frames[MOST_FRAMES];
static struct outcome outcomes[MOST_RUNS];

static void fail(const char *what)
{
	fprintf(stderr, "testrun: Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_pinned(const char *path)
{
	union bpf_attr attribute;
	int program;

	memset(&attribute, 0, sizeof(attribute));
	attribute.pathname = (uintptr_t)path;
	program = syscall(SYS_bpf, BPF_OBJ_GET, &attribute, sizeof(attribute));
	if (program < 0)
		fail("open the pinned program");
	return program;
}

static uint32_t read_context(const char *text)
{
	uint32_t length = 0;

	for (; length < sizeof(context) && sscanf(text, "%2hhx", &context[length]) == 1; text += 2)
		length++;
	return length;
}

static uint32_t read_frames(void)
{
	size_t size = 0, more, at = 0;
	uint32_t count = 0;

	while ((more = fread(input + size, 1, sizeof(input) - size, stdin)) > 0)
		size += more;
	while (at + 2 <= size && count < MOST_FRAMES) {
		frames[count].length = input[at] | input[at + 1] << 8;
		frames[count].bytes = input + at + 2;
		at += 2 + frames[count].length;
		count++;
	}
	if (!count || at != size) {
		errno = EINVAL;
		fail("read the frames");
	}
	return count;
}

static void run(int program, const struct frame *frame, uint32_t context_length, struct outcome *outcome)
{
	union bpf_attr attribute;

	memset(&attribute, 0, sizeof(attribute));
	attribute.test.prog_fd = program;
	attribute.test.repeat = 1;
	attribute.test.data_in = (uintptr_t)frame->bytes;
	attribute.test.data_size_in = frame->length;
	attribute.test.ctx_in = (uintptr_t)context;
	attribute.test.ctx_size_in = context_length;
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attribute, sizeof(attribute)) < 0)
		fail("run the program");
	outcome->verdict = attribute.test.retval;
	outcome->nanoseconds = attribute.test.duration;
}

int main(int count, char **words)
{
	uint32_t runs, context_length, frame_count;
	int program;

	if (count != 4) {
		fprintf(stderr, "testrun: Cannot understand the command line, wanted PIN CONTEXT RUNS\n");
		return 2;
	}
	program = open_pinned(words[1]);
	context_length = read_context(words[2]);
	runs = strtoul(words[3], NULL, 10);
	frame_count = read_frames();
	if (runs > MOST_RUNS)
		runs = MOST_RUNS;
	for (uint32_t i = 0; i < runs; i++)
		run(program, &frames[i % frame_count], context_length, &outcomes[i]);
	for (uint32_t i = 0; i < runs; i++)
		printf("%u %u\n", outcomes[i].verdict, outcomes[i].nanoseconds);
	return 0;
}
