/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: system calls that block, run on Node's thread pool and answered by a promise.
 *
 *	JavaScript thread          pool thread
 *	job_start() ─────────────▶ job->run()
 *	promise                        │
 *	complete() ◀───────────────────┘   job->result(), job->free()
 *
 * A job owns what it works on (its own descriptors, a reference to a handle), so it does not matter what
 * JavaScript closes meanwhile, or that its worker thread is terminated: Node waits for the pool before it
 * ends an environment.
 */
#include "handles.h"

#include <errno.h>

static void complete(napi_env env, napi_status status, void *data)
{
	struct job *job = data;
	napi_value value = NULL;

	if (status == napi_cancelled)
		job->failure = (struct failure){.error = ECANCELED, .syscall = "job"};
	if (!job->failure.error)
		value = job->result(env, job);
	if (job->failure.error)
		napi_reject_deferred(env, job->deferred, failure_value(env, &job->failure));
	else if (value)
		napi_resolve_deferred(env, job->deferred, value);
	napi_delete_async_work(env, job->work);
	job->free(job);
}

static void execute(napi_env env, void *data)
{
	struct job *job = data;

	(void)env;
	job->run(job);
}

napi_value job_start(napi_env env, struct job *job, const char *name)
{
	napi_value promise;

	if (napi_create_async_work(env, NULL, string_value(env, name), execute, complete, job, &job->work) !=
	    napi_ok) {
		job->free(job);
		return throw_napi(env);
	}
	if (napi_create_promise(env, &job->deferred, &promise) != napi_ok ||
	    napi_queue_async_work(env, job->work) != napi_ok) {
		napi_delete_async_work(env, job->work);
		job->free(job);
		return throw_napi(env);
	}
	return promise;
}
