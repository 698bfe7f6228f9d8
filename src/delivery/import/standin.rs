//! Stands in for the folders of Trow's own `install/` that an overlay builds
//! on and that are not at hand: the facts that its patches rely on, as they
//! were in May 2020. Ours, and no more than an import asks about.

use crate::pipeline::manifest::Object;
use crate::pipeline::yaml::{self, YamlError};

/// What stands in a node's origin for this text.
pub const NAME: &str = "Trow's base of 2020";

/// The host name of the base, which nobody has.
pub const PLACEHOLDERS: [&str; 2] = ["myregistry.mydomain.io", "myregistry.mydomain.com"];

const BASE: &str = r"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: trow-set}
spec:
  serviceName: trow
  selector: {matchLabels: {app: trow}}
  template:
    metadata: {labels: {app: trow}}
    spec:
      securityContext: {runAsUser: 999, runAsGroup: 999, fsGroup: 999}
      containers:
        - name: trow-pod
          image: containersol/trow:0.2
          imagePullPolicy: Always
          args: [--no-tls, -n, myregistry.mydomain.io, -u, myuser, --password-file, /etc/trow/pass]
          ports: [{containerPort: 8000}]
          volumeMounts:
            - {name: data-vol, mountPath: /data}
            - {name: trow-pass, mountPath: /etc/trow, readOnly: true}
      volumes:
        - name: trow-pass
          secret: {secretName: trow-pass, items: [{key: pass, path: pass}]}
  volumeClaimTemplates:
    - metadata: {name: data-vol}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 20Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: trow-svc}
spec:
  type: NodePort
  selector: {app: trow}
  ports: [{protocol: TCP, port: 8000, targetPort: 8000}]
";

const INGRESS: &str = r#"
apiVersion: extensions/v1beta1
kind: Ingress
metadata:
  name: trow-ingress
  annotations:
    kubernetes.io/ingress.class: nginx
    certmanager.k8s.io/cluster-issuer: letsencrypt-prod
    nginx.ingress.kubernetes.io/proxy-body-size: "0"
    nginx.ingress.kubernetes.io/proxy-read-timeout: "600"
    nginx.ingress.kubernetes.io/proxy-send-timeout: "600"
spec:
  rules:
    - host: myregistry.mydomain.io
      http: {paths: [{path: /, backend: {serviceName: trow-svc, servicePort: 8000}}]}
  tls:
    - hosts: [myregistry.mydomain.io]
      secretName: trow-registry-tls
"#;

/// The objects of the folder that a reference leads to, if it is one of those
/// of Trow, by the name that it ends in.
///
/// # Errors
/// Never: a test reads the texts.
pub fn folder(reference: &str) -> Result<Option<Vec<Object>>, YamlError> {
    let path = reference.split('?').next().unwrap_or_default();
    match path.trim_end_matches('/').rsplit('/').next() {
        Some("base") => Ok(Some(objects(&[BASE])?)),
        Some("cert-manager-nginx") => Ok(Some(objects(&[BASE, INGRESS])?)),
        _ => Ok(None),
    }
}

/// Everything that there is here, to compare with.
///
/// # Errors
/// Never: a test reads the texts.
pub fn all() -> Result<Vec<Object>, YamlError> {
    objects(&[BASE, INGRESS])
}

fn objects(texts: &[&str]) -> Result<Vec<Object>, YamlError> {
    let mut objects = Vec::new();
    for text in texts {
        let nodes = yaml::read(NAME, text)?.into_iter();
        objects.extend(nodes.map(|node| Object { node, source: NAME.to_owned() }));
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_can_be_read_and_folders_are_found_by_name() {
        let ids = |reference| {
            let objects = folder(reference).unwrap()?;
            Some(objects.iter().map(Object::id).collect::<Vec<_>>())
        };
        let base = ["statefulset/trow-set", "service/trow-svc"];
        assert_eq!(ids("../../base/").unwrap(), base);
        assert_eq!(
            ids("github.com/a/trow/install/overlays/cert-manager-nginx?ref=v1").unwrap().len(),
            3
        );
        assert_eq!(ids("../gke"), None);
    }
}
