//! What a machine needs to use an environment's registry: whom to trust, and
//! where the domain is; as files, as a script that undoes itself, or as a
//! `DaemonSet` that gives them to every node.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::difference::node;
use crate::pipeline::environment::{Environment, ExposureKind, NodePort};
use crate::pipeline::yaml;

/// The image of the `DaemonSet`'s container, which only copies files.
const IMAGE: &str = "docker.io/library/busybox:1.37.0";
/// Where the `DaemonSet` lives: its host path needs a privileged namespace.
const NAMESPACE: &str = "kube-system";

/// The files of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kit {
    /// The environment's name.
    environment: String,
    /// Texts by their path below `/`.
    files: BTreeMap<String, String>,
    /// The line of `/etc/hosts`, where the environment names an address.
    hosts: Option<String>,
}

/// How clients name the registry: the host, with the port where it is not 443.
#[must_use]
pub fn endpoint(environment: &Environment, host: &str) -> String {
    match port(environment) {
        443 => host.to_owned(),
        port => format!("{host}:{port}"),
    }
}

/// The port that clients connect to.
#[must_use]
pub fn port(environment: &Environment) -> u16 {
    let service = &environment.service;
    match environment.exposure.kind {
        ExposureKind::Ingress | ExposureKind::Gateway => 443,
        ExposureKind::LoadBalancer => service.port.get(),
        ExposureKind::NodePort => service.node_port.map_or(443, NodePort::get),
    }
}

impl Kit {
    /// What a machine needs for this environment; `authority` is the PEM text
    /// to trust, where it is not one that everybody trusts.
    #[must_use]
    pub fn of(environment: &Environment, authority: Option<&str>) -> Self {
        let mut files = BTreeMap::new();
        let mut registries = String::from("# Pulled over TLS, and never without.\n");
        for host in environment.hosts() {
            let endpoint = endpoint(environment, host.as_str());
            let _ =
                write!(registries, "\n[[registry]]\nlocation = \"{endpoint}\"\ninsecure = false\n");
            let folder = match port(environment) {
                443 => host.to_string(),
                // containerd's form of `host:port`.
                port => format!("{host}_{port}_"),
            };
            // The server itself, without a mirror: what a mirror does not have is
            // asked of the server again, whose authority would have to be named twice.
            let mut hosts = format!(
                "server = \"https://{endpoint}\"\ncapabilities = [\"pull\", \"resolve\", \"push\"]\n"
            );
            if let Some(pem) = authority {
                let ca = format!("etc/containerd/certs.d/{folder}/ca.crt");
                let _ = writeln!(hosts, "ca = \"/{ca}\"");
                files.insert(ca, pem.to_owned());
                files.insert(format!("etc/containers/certs.d/{endpoint}/ca.crt"), pem.to_owned());
                files.insert(format!("etc/docker/certs.d/{endpoint}/ca.crt"), pem.to_owned());
            }
            files.insert(format!("etc/containerd/certs.d/{folder}/hosts.toml"), hosts);
        }
        let name = &environment.name;
        files.insert(format!("etc/containers/registries.conf.d/50-{name}.conf"), registries);
        let names: Vec<_> = environment.hosts().map(ToString::to_string).collect();
        let hosts =
            environment.address.as_ref().map(|one| format!("{} {}", one.ip, names.join(" ")));
        Self { environment: name.clone(), files, hosts }
    }

    /// The files, by their path below `/`, and `hosts` with the line of
    /// `/etc/hosts` where there is one.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files = self.files.clone();
        if let Some(line) = &self.hosts {
            files.insert("hosts".to_owned(), format!("{line}\n"));
        }
        files
    }

    /// A POSIX shell script that puts everything in place, and with `undo`
    /// takes it away again and brings back what was there before.
    #[must_use]
    pub fn script(&self) -> String {
        self.script_with(self.hosts.as_deref())
    }

    fn script_with(&self, hosts: Option<&str>) -> String {
        let name = &self.environment;
        let mut text = format!(
            "#!/bin/sh\n# Lets this machine use the registry of {name}. Undo it with: sh $0 \
             undo\n# ROOT names another root folder than /.\nset -eu\n# Everybody on the machine \
             reads these.\numask 022\nroot=${{ROOT:-}}\n\n"
        );
        text.push_str(SCRIPT_HEAD);
        text.push_str("files='\n");
        for path in self.files.keys() {
            let _ = writeln!(text, "{path}");
        }
        text.push_str("'\n\nundo() {\n    for file in $files; do restore \"$file\"; done\n");
        if hosts.is_some() {
            let _ = writeln!(text, "    unhost {name}");
        }
        text.push_str("}\n\ninstall() {\n");
        for (path, content) in &self.files {
            // No file of ours holds a line with this word alone.
            let _ = write!(text, "    put {path} <<'END_OF_FILE'\n{content}");
            if !content.ends_with('\n') {
                text.push('\n');
            }
            text.push_str("END_OF_FILE\n");
        }
        if let Some(line) = hosts {
            let _ = writeln!(text, "    unhost {name}\n    host {name} '{line}'");
        }
        text.push_str(
            "}\n\ncase ${1:-install} in\n    install) install ;;\n    undo) undo ;;\n    *) echo \
             \"usage: sh $0 [install|undo]\" >&2; exit 2 ;;\nesac\n",
        );
        text
    }

    /// A `ConfigMap` and a `DaemonSet` that run the script on every node: the
    /// files are put in place and kept there, or with `undo` taken away again, and
    /// a pod is ready once that is done. Programs read them without a restart. The
    /// hosts line is left out: a node's resolver is its administrator's.
    #[must_use]
    pub fn daemon_set(&self, undo: bool) -> String {
        let name = format!("warren-client-{}", self.environment);
        let labels = json!({"app.kubernetes.io/name": name});
        let metadata = json!({"name": name, "namespace": NAMESPACE, "labels": labels});
        let container = |name: &str, script: &str| {
            json!({
                "name": name,
                "image": IMAGE,
                "command": ["sh", "-c", script],
                "env": [{"name": "ROOT", "value": "/host"}],
                "securityContext": {
                    // What it writes belongs to root.
                    "runAsUser": 0,
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {
                    "requests": {"cpu": "10m", "memory": "8Mi"},
                    "limits": {"memory": "32Mi"},
                },
                "volumeMounts": [
                    {"name": "files", "mountPath": "/files", "readOnly": true},
                    {"name": "etc", "mountPath": "/host/etc"},
                ],
            })
        };
        let (first, then) =
            if undo { ("undo", ":") } else { ("install", "sh /files/client.sh install") };
        // It goes on, so that a file that somebody removes comes back.
        let keep =
            format!("trap 'exit 0' TERM\nwhile true; do\nsleep 300 & wait $!\n{then}\ndone\n");
        let pod = json!({
            "automountServiceAccountToken": false,
            "tolerations": [{"operator": "Exists"}],
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [container(first, &format!("sh /files/client.sh {first}"))],
            "containers": [container("keep", &keep)],
            "volumes": [
                {"name": "files", "configMap": {"name": name}},
                {"name": "etc", "hostPath": {"path": "/etc", "type": "Directory"}},
            ],
        });
        let config_map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"client.sh": self.script_with(None)},
        });
        let daemon_set = json!({
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        });
        yaml::write_all([&node(&config_map), &node(&daemon_set)])
    }
}

/// How the script puts and restores one file, and one line of `/etc/hosts`.
const SCRIPT_HEAD: &str = r#"# put FILE: stdin becomes the file; what was there is kept beside it.
put() {
    mkdir -p "$root/$(dirname "$1")"
    if [ -e "$root/$1" ] && [ ! -e "$root/$1.before-warren" ] && [ ! -e "$root/$1.by-warren" ]; then
        mv "$root/$1" "$root/$1.before-warren"
    fi
    cat >"$root/$1.new"
    if [ -e "$root/$1.by-warren" ] && cmp -s "$root/$1.new" "$root/$1"; then
        rm "$root/$1.new"
        return 0
    fi
    mv "$root/$1.new" "$root/$1"
    : >"$root/$1.by-warren"
}

restore() {
    [ -e "$root/$1.by-warren" ] || return 0
    rm -f "$root/$1" "$root/$1.by-warren"
    if [ -e "$root/$1.before-warren" ]; then
        mv "$root/$1.before-warren" "$root/$1"
    else
        # Folders that are empty now go too, as far as they are the registry's.
        rmdir "$root/$(dirname "$1")" 2>/dev/null || true
    fi
}

host() {
    printf '%s # warren %s\n' "$2" "$1" >>"$root/etc/hosts"
}

unhost() {
    [ -e "$root/etc/hosts" ] || return 0
    # By bytes, whatever the locale; and written in place, only once it is whole: a
    # container's /etc/hosts can't be replaced.
    kept=$(LC_ALL=C sed "/ # warren $1\$/d" "$root/etc/hosts") || return 1
    printf '%s\n' "$kept" >"$root/etc/hosts"
}

"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::yaml::Node;

    fn environment(more: &str) -> Environment {
        let mut environment: Environment = toml::from_str(&format!(
            "kubernetes = \"1.36\"\ndomain = \"reg.lapin.io\"\naliases = [\"img.lapin.io\"]\n\
             {more}\n[cluster]\ncontext = \"c\"\n[registry]\nengine = \"trow\"\nuser = \"u\"\n\
             [storage]\nkind = \"host-path\"\npath = \"/data\"\nsize = \"1Gi\"\n\
             owner = {{ uid = 1, gid = 1 }}\n"
        ))
        .unwrap();
        "sandbox".clone_into(&mut environment.name);
        environment
    }

    #[test]
    fn each_program_finds_the_authority_where_it_looks() {
        let kit = Kit::of(&environment(""), Some("PEM\n"));
        let files = kit.files();
        for path in [
            "etc/containers/certs.d/reg.lapin.io/ca.crt",
            "etc/docker/certs.d/reg.lapin.io/ca.crt",
            "etc/containerd/certs.d/img.lapin.io/ca.crt",
        ] {
            assert_eq!(files[path], "PEM\n", "{path}");
        }
        let hosts = &files["etc/containerd/certs.d/reg.lapin.io/hosts.toml"];
        assert!(hosts.contains("ca = \"/etc/containerd/certs.d/reg.lapin.io/ca.crt\""), "{hosts}");
        hosts.parse::<toml::Table>().unwrap();
        files["etc/containers/registries.conf.d/50-sandbox.conf"].parse::<toml::Table>().unwrap();
        assert!(!files.contains_key("hosts"), "no address, no line");
        let public = Kit::of(&environment(""), None).files();
        assert!(!public.keys().any(|path| path.ends_with("ca.crt")), "{public:?}");
    }

    #[test]
    fn a_port_is_in_the_names_as_each_program_writes_it() {
        let more = "exposure = { kind = \"load-balancer\" }\nservice = { port = 8443 }\n\
                    address = { ip = \"10.0.0.1\" }";
        let files = Kit::of(&environment(more), Some("PEM\n")).files();
        assert!(files.contains_key("etc/docker/certs.d/reg.lapin.io:8443/ca.crt"), "{files:?}");
        assert!(files.contains_key("etc/containerd/certs.d/reg.lapin.io_8443_/hosts.toml"));
        assert_eq!(files["hosts"], "10.0.0.1 reg.lapin.io img.lapin.io\n");
    }

    #[test]
    fn the_daemon_set_runs_the_script_either_way() {
        let address = "address = { ip = \"10.0.0.1\" }";
        let kit = Kit::of(&environment(address), Some("PEM\n"));
        let read = |undo| {
            let nodes = yaml::read("x", &kit.daemon_set(undo)).unwrap();
            let [map, set] = nodes.as_slice() else { panic!("{nodes:?}") };
            let script = map.get("data").and_then(|data| data.get("client.sh"));
            (script.and_then(Node::as_str).unwrap().to_owned(), yaml::write(set))
        };
        let (script, set) = read(false);
        for path in kit.files.keys() {
            assert!(script.contains(&format!("put {path} ")), "{path}");
        }
        assert!(kit.script().contains("10.0.0.1") && !script.contains("10.0.0.1"), "{script}");
        assert!(set.contains("client.sh install") && !set.contains("undo"), "{set}");
        let (same, set) = read(true);
        assert_eq!(same, script);
        assert!(set.contains("client.sh undo") && !set.contains("install"), "{set}");
    }
}
