/* SPDX-License-Identifier: Apache-2.0 */
/* The addon's table of contents. src/kernel/addon.ts has the same list with types and meanings. */
#include "handles.h"

#include <bpf/libbpf.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

napi_value monotonic_ns(napi_env env, napi_callback_info info)
{
	(void)info;
	return bigint_value(env, clock_ns(CLOCK_MONOTONIC));
}

napi_value boottime_ns(napi_env env, napi_callback_info info)
{
	(void)info;
	return bigint_value(env, clock_ns(CLOCK_BOOTTIME));
}

napi_value possible_cpus(napi_env env, napi_callback_info info)
{
	int count = libbpf_num_possible_cpus();

	(void)info;
	if (count < 0)
		return throw_errno(env, -count, "open", "/sys/devices/system/cpu/possible");
	return number_value(env, count);
}

static const struct {
	const char *name;
	napi_callback function;
} functions[] = {
    {"setErrorClasses", set_error_classes},
    {"describeErrno", describe_errno},
    {"close", close_handle},
    {"isClosed", is_closed},
    {"descriptor", descriptor},
    {"pin", pin},
    {"objectOpen", object_open},
    {"objectMaps", object_maps},
    {"objectPrograms", object_programs},
    {"objectSetData", object_set_data},
    {"objectSetMaxEntries", object_set_max_entries},
    {"objectReuseMap", object_reuse_map},
    {"objectSetAutoload", object_set_autoload},
    {"objectSetProgramType", object_set_program_type},
    {"objectLoad", object_load},
    {"objectMap", object_map},
    {"objectProgram", object_program},
    {"mapCreate", map_create},
    {"mapOpenPinned", map_open_pinned},
    {"mapOpenById", map_open_by_id},
    {"mapInfo", map_info},
    {"btfRead", btf_read},
    {"mapValueBytes", map_value_bytes},
    {"mapLookup", map_lookup},
    {"mapUpdate", map_update},
    {"mapDelete", map_delete},
    {"mapTake", map_take},
    {"mapUpdateBatch", map_update_batch},
    {"mapDeleteBatch", map_delete_batch},
    {"mapRead", map_read},
    {"mapFreeze", map_freeze},
    {"programOpenPinned", program_open_pinned},
    {"programOpenById", program_open_by_id},
    {"programInfo", program_info},
    {"programTestRun", program_test_run},
    {"programQuery", program_query},
    {"linkCreate", link_create},
    {"linkOpenPinned", link_open_pinned},
    {"linkOpenById", link_open_by_id},
    {"linkInfo", link_info},
    {"linkUpdate", link_update},
    {"linkDetach", link_detach},
    {"ringOpen", ring_open},
    {"ringDrain", ring_drain},
    {"ringUsedBytes", ring_used_bytes},
    {"socketOpen", socket_open},
    {"socketSend", socket_send},
    {"socketReceive", socket_receive},
    {"socketWait", socket_wait},
    {"socketNetnsCookie", socket_netns_cookie},
    {"socketExchange", socket_exchange},
    {"packetOpen", packet_open},
    {"packetJoin", packet_join},
    {"packetSend", packet_send},
    {"packetReceive", packet_receive},
    {"beatStart", beat_start},
    {"beatSetPeers", beat_set_peers},
    {"beatTouch", beat_touch},
    {"beatLapsed", beat_lapsed},
    {"beatResume", beat_resume},
    {"beatAlive", beat_alive},
    {"beatHold", beat_hold},
    {"pollStart", poll_start},
    {"netnsCreate", netns_create},
    {"netnsDelete", netns_delete},
    {"netnsReadFile", netns_read_file},
    {"netnsWriteFile", netns_write_file},
    {"monotonicNs", monotonic_ns},
    {"boottimeNs", boottime_ns},
    {"possibleCpus", possible_cpus},
};

NAPI_MODULE_INIT()
{
	log_start();
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		napi_value function;

		if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function,
					 NULL, &function) != napi_ok ||
		    napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
			return throw_napi(env);
	}
	return exports;
}
