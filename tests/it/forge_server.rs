//! The pull request APIs of GitHub, GitLab and Gitea in memory, as far as their
//! references say what a client sends and gets. Forgejo's is Gitea's.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::loopback;

/// One pull request, as every forge knows it.
#[derive(Clone, Debug)]
pub struct Pull {
    pub head: String,
    pub base: String,
    pub title: String,
    pub body: String,
    /// Whether it comes from a fork.
    pub fork: bool,
    pub closed: bool,
}

#[derive(Default)]
struct Forge {
    pulls: Vec<Pull>,
    requests: Vec<String>,
    authorization: String,
    /// The host that a renamed repository is at; this one without.
    elsewhere: Option<String>,
}

/// A running server; it ends with the test's process.
pub struct ForgeServer {
    address: SocketAddr,
    forge: Arc<Mutex<Forge>>,
}

impl ForgeServer {
    /// A forge that lets in who sends this.
    pub fn start(authorization: &str) -> Self {
        let forge = Forge { authorization: authorization.to_owned(), ..Forge::default() };
        let forge = Arc::new(Mutex::new(forge));
        let router = Router::new().fallback(answer).with_state(forge.clone());
        let address = loopback::serve(router);
        Self { address, forge }
    }

    pub fn api(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn pulls(&self) -> Vec<Pull> {
        self.forge.lock().unwrap().pulls.clone()
    }

    /// Opens a pull request, as somebody else does from a fork.
    pub fn open_from_fork(&self, head: &str, base: &str) {
        let (head, base) = (head.to_owned(), base.to_owned());
        let (title, body) = ("theirs".to_owned(), "theirs".to_owned());
        let pull = Pull { head, base, title, body, fork: true, closed: false };
        self.forge.lock().unwrap().pulls.push(pull);
    }

    /// Has a renamed repository be at another host.
    pub fn move_to(&self, host: &str) {
        self.forge.lock().unwrap().elsewhere = Some(host.to_owned());
    }

    /// How many requests there were.
    pub fn asked(&self) -> usize {
        self.forge.lock().unwrap().requests.len()
    }

    /// The requests that change something.
    pub fn writes(&self) -> Vec<String> {
        let forge = self.forge.lock().unwrap();
        forge.requests.iter().filter(|line| !line.starts_with("GET")).cloned().collect()
    }
}

async fn answer(
    State(forge): State<Arc<Mutex<Forge>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut forge = forge.lock().unwrap();
    forge.requests.push(format!("{method} {}", uri.path()));
    let refuse = |code: u16, message: &str| {
        (StatusCode::from_u16(code).unwrap(), json!({"message": message}).to_string())
            .into_response()
    };
    if headers.get("authorization").is_none_or(|sent| sent != forge.authorization.as_str()) {
        return refuse(401, "Bad credentials");
    }
    // A repository that was renamed is still asked for by its old name.
    if let Some(rest) = uri.path().strip_prefix("/repos/owner/old") {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let host = forge.elsewhere.clone().unwrap_or_default();
        let location = format!("{host}/repositories/7{rest}{query}");
        let moved = json!({"message": "Moved Permanently", "url": location}).to_string();
        return (StatusCode::MOVED_PERMANENTLY, [("location", location)], moved).into_response();
    }
    let path = uri.path();
    let gitlab = path.starts_with("/projects/owner%2Fname/merge_requests");
    let renamed = path.starts_with("/repositories/7/pulls");
    if !gitlab && !renamed && !path.starts_with("/repos/owner/name/pulls") {
        return refuse(404, "Not Found");
    }
    let shown = |(index, pull): (usize, &Pull)| {
        let number = index + 1;
        if gitlab {
            json!({"iid": number, "id": 9000 + number, "web_url": format!("https://f/{number}"),
                "title": pull.title, "description": pull.body,
                "source_branch": pull.head, "target_branch": pull.base,
                "source_project_id": if pull.fork { 8 } else { 7 }, "target_project_id": 7})
        } else {
            json!({"number": number, "id": 9000 + number, "html_url": format!("https://f/{number}"),
                "title": pull.title, "body": pull.body,
                "head": {"ref": pull.head, "repo_id": if pull.fork { 8 } else { 7 }},
                "base": {"ref": pull.base, "repo_id": 7}})
        }
    };
    let (head, base, text) = if gitlab {
        ("source_branch", "target_branch", "description")
    } else {
        ("head", "base", "body")
    };
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let field = |key: &str| sent[key].as_str().map(str::to_owned);
    let number = path.rsplit('/').next().unwrap_or_default().parse::<usize>().ok();
    let (code, body) = match (method.as_str(), number) {
        ("GET", None) => {
            let query = uri.query().unwrap_or_default();
            let paged = query.contains("page=") && !query.contains("page=1");
            // GitHub is asked for the branch of an owner, and gives no other's.
            let owned = query.contains("head=owner");
            let pulls = forge.pulls.iter().enumerate();
            let open = pulls.filter(|(_, pull)| !(pull.closed || owned && pull.fork));
            let list: Vec<_> = open.map(shown).collect();
            (200, if paged { json!([]) } else { json!(list) })
        }
        ("POST", None) => {
            let (Some(head), Some(base), Some(title), Some(body)) =
                (field(head), field(base), field("title"), field(text))
            else {
                return refuse(422, "Validation Failed");
            };
            if forge.pulls.iter().any(|pull| pull.head == head && !pull.fork && !pull.closed) {
                return refuse(409, "pull request already exists for these targets");
            }
            forge.pulls.push(Pull { head, base, title, body, fork: false, closed: false });
            let last = forge.pulls.len() - 1;
            (201, shown((last, &forge.pulls[last])))
        }
        ("PATCH" | "PUT", Some(number)) if (method == Method::PUT) == gitlab => {
            let pull = &mut forge.pulls[number - 1];
            let close = if gitlab { ("state_event", "close") } else { ("state", "closed") };
            if sent[close.0] == close.1 {
                pull.closed = true;
            } else {
                pull.title = field("title").unwrap();
                pull.body = field(text).unwrap();
            }
            (200, shown((number - 1, pull)))
        }
        _ => return refuse(405, "Method Not Allowed"),
    };
    (StatusCode::from_u16(code).unwrap(), [("content-type", "application/json")], body.to_string())
        .into_response()
}
