/* SPDX-License-Identifier: MIT
 *
 * The part of NVIDIA's management library that the plugin calls, with three cards and no driver. Names,
 * structure and codes are those of the NVML API reference; every call checks what it is given, as the
 * real one does, and refuses to work before nvmlInit and after nvmlShutdown.
 *
 * NVML_STANDIN_INIT: what nvmlInit returns; "hang", or -DHANG: it says so on stderr and never does. -DTALKS: it writes
 * to stdout. -DCONFINED: it says on stderr what it is kept from. NVML_STANDIN_COUNT: how many cards there are, at most 3. NVML_STANDIN_NAME: the first one's name.
 * NVML_STANDIN_LOST: a file that, while it is there, says which card has fallen off its bus.
 */
#ifdef CONFINED
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "580.95.05"
#endif

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };

typedef struct {
	char busIdLegacy[16];
	unsigned domain, bus, device, pciDeviceId, pciSubSystemId;
	char busId[32];
} pci_info;

static int initialized;
static int cards[3] = { 0, 1, 2 };

static unsigned count(void)
{
	const char *text = getenv("NVML_STANDIN_COUNT");
	return text ? (unsigned)atoi(text) : 3;
}

static int check(const void *handle)
{
	if (!initialized)
		return UNINITIALIZED;
	return (int *)handle >= cards && (int *)handle < cards + count() ? SUCCESS : INVALID_ARGUMENT;
}

static int is_lost(unsigned index)
{
	const char *path = getenv("NVML_STANDIN_LOST");
	FILE *file = path ? fopen(path, "r") : NULL;
	unsigned lost = 0;
	int found = file && fscanf(file, "%u", &lost) == 1 && lost == index;
	if (file)
		fclose(file);
	return found;
}

#ifdef CONFINED
static void say(const char *what, int succeeded)
{
	fprintf(stderr, "%s: %s\n", what, succeeded ? "done" : strerror(errno));
}

static void try_everything(void)
{
	say("writable code", mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
	    != MAP_FAILED);
	say("network", socket(AF_INET, SOCK_STREAM, 0) >= 0);
	say("root directory", chroot("/run") == 0);
	say("file", open("/etc/a-file", O_CREAT | O_WRONLY, 0600) >= 0);
	say("driver's node", open("/run/card/dev/nvidiactl", O_RDWR) >= 0);
	say("another's node", open("/run/card/dev/other", O_RDWR) >= 0);
}
#endif

static int put(char *to, unsigned length, const char *text)
{
	if (strlen(text) >= length)
		return INSUFFICIENT_SIZE;
	strcpy(to, text);
	return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags)
{
#ifdef HANG
	const char *text = "hang";
#else
	const char *text = getenv("NVML_STANDIN_INIT");
#endif
	if (text && strcmp(text, "hang") == 0) {
		fprintf(stderr, "process %d hangs\n", getpid());
		for (;;)
			pause();
	}
#ifdef TALKS
	puts("the library talks");
#endif
#ifdef CONFINED
	try_everything();
#endif
	int code = text ? atoi(text) : SUCCESS;
	initialized = code == SUCCESS && flags == 0;
	return code;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void)
{
	int was = initialized;
	initialized = 0;
	return was ? SUCCESS : UNINITIALIZED;
}

const char *nvmlErrorString(int code) {
	return code == 9 ? "Driver Not Loaded" : code == GPU_IS_LOST ? "GPU is lost" : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *version, unsigned length)
{
	return initialized ? put(version, length, VERSION) : UNINITIALIZED;
}

int nvmlDeviceGetCount_v2(unsigned *number)
{
	if (!initialized)
		return UNINITIALIZED;
	*number = count();
	return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle)
{
	if (!initialized)
		return UNINITIALIZED;
	if (index >= count())
		return INVALID_ARGUMENT;
	if (is_lost(index))
		return GPU_IS_LOST;
	*handle = &cards[index];
	return SUCCESS;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned length)
{
	const char *text = getenv("NVML_STANDIN_NAME");
	return check(handle) ? check(handle) : put(name, length, text && handle == cards ? text : "NVIDIA L4");
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length)
{
	char text[64];
	if (check(handle))
		return check(handle);
	snprintf(text, sizeof text, "GPU-%dfef8089-4820-abfc-e83e-94318197576e", *(int *)handle);
	return put(uuid, length, text);
}

int nvmlDeviceGetMinorNumber(void *handle, unsigned *minor)
{
	if (check(handle))
		return check(handle);
	*minor = (unsigned)*(int *)handle;
	return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(void *handle, pci_info *pci)
{
	if (check(handle))
		return check(handle);
	memset(pci, 0, sizeof *pci);
	pci->bus = (unsigned)*(int *)handle + 1;
	snprintf(pci->busId, sizeof pci->busId, "00000000:%02X:00.0", pci->bus);
	return SUCCESS;
}
