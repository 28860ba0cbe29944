# Refuses, before BitBake parses the first recipe, settings of this layer that no image can be built with. conf/layer.conf
# inherits it everywhere.

def nvidia_k8s_role_problem(d):
    """What is wrong with the role of the node and the server that it joins; empty where nothing is."""
    import re

    role = d.getVar('WR_NVIDIA_K8S_ROLE')
    url = d.getVar('WR_NVIDIA_K8S_SERVER_URL') or ''
    if role not in ('server', 'agent'):
        return 'WR_NVIDIA_K8S_ROLE: expected server or agent, found "%s"' % role
    if role == 'agent' and not re.fullmatch(r'https://[A-Za-z0-9.:_\[\]-]+', url):
        return ('WR_NVIDIA_K8S_SERVER_URL: expected the server that the agent (WR_NVIDIA_K8S_ROLE) joins, such as '
                'https://10.0.0.1:6443, found "%s"' % url)
    if role == 'server' and url:
        return ('WR_NVIDIA_K8S_SERVER_URL: expected nothing, because WR_NVIDIA_K8S_ROLE is server, found "%s": set the '
                'role to agent' % url)
    return ''

def nvidia_k8s_data_disk_problem(d):
    """What is wrong with the disk for the state of Docker and Kubernetes; empty where nothing is."""
    import re

    disk = d.getVar('WR_NVIDIA_K8S_DATA_DISK') or ''
    if not disk or re.fullmatch(r'(/dev/|(LABEL|UUID|PARTLABEL|PARTUUID)=)[A-Za-z0-9._:/-]+', disk):
        return ''
    return ('WR_NVIDIA_K8S_DATA_DISK: expected a disk or partition, such as /dev/nvme0n1 or LABEL=data, found "%s"'
            % disk)

def nvidia_k8s_setting_problems(d):
    """All that is wrong with the settings that come from the user."""
    import os

    problems = [nvidia_k8s_role_problem(d), nvidia_k8s_data_disk_problem(d)]
    for name, exists, what in (
        ('WR_NVIDIA_K8S_PRELOAD_DIR', os.path.isdir, 'directory'),
        ('WR_NVIDIA_K8S_SSH_KEYS_FILE', os.path.isfile, 'file'),
        ('WR_NVIDIA_K8S_TOKEN_FILE', os.path.isfile, 'file'),
    ):
        path = d.getVar(name) or ''
        if path and not (os.path.isabs(path) and exists(path)):
            problems.append('%s: expected a %s, by its absolute path, found none as "%s"' % (name, what, path))
    return [problem for problem in problems if problem]

addhandler nvidia_k8s_sanity
nvidia_k8s_sanity[eventmask] = "bb.event.SanityCheck"
python nvidia_k8s_sanity() {
    problems = nvidia_k8s_setting_problems(e.data)
    if problems:
        bb.fatal('\n'.join(problems))
}
