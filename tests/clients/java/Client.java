// Exports by Google's API client library for Java, which compresses every body.
// Arguments: the root of the API, the API version, a store's name, a table's URI. What came of each call is one line of JSON.

import com.google.api.client.googleapis.json.GoogleJsonResponseException;
import com.google.api.client.googleapis.services.json.AbstractGoogleJsonClient;
import com.google.api.client.googleapis.services.json.AbstractGoogleJsonClientRequest;
import com.google.api.client.http.javanet.NetHttpTransport;
import com.google.api.client.json.GenericJson;
import com.google.api.client.json.JsonFactory;
import com.google.api.client.json.gson.GsonFactory;
import java.util.Map;

public class Client {
  static final JsonFactory JSON = GsonFactory.getDefaultInstance();

  /** As the generated clients are. */
  static class Healthcare extends AbstractGoogleJsonClient {
    Healthcare(Builder builder) {
      super(builder);
    }

    static class Builder extends AbstractGoogleJsonClient.Builder {
      Builder(String root) {
        super(new NetHttpTransport(), JSON, root, "", null, false);
        setApplicationName("dicom-export-test");
      }

      @Override
      public Healthcare build() {
        return new Healthcare(this);
      }
    }
  }

  static class Call extends AbstractGoogleJsonClientRequest<GenericJson> {
    Call(Healthcare client, String method, String path, Object content) {
      super(client, method, path, content, GenericJson.class);
    }
  }

  static GenericJson object(Object... members) {
    GenericJson json = new GenericJson();
    json.setFactory(JSON);
    for (int i = 0; i < members.length; i += 2) {
      json.put((String) members[i], members[i + 1]);
    }
    return json;
  }

  static void told(String call, Object value) throws Exception {
    System.out.println(JSON.toString(Map.of("call", call, "value", value)));
  }

  static Object refused(Call call) throws Exception {
    try {
      return call.execute();
    } catch (GoogleJsonResponseException error) {
      return Map.of("status", error.getStatusCode(), "message", error.getDetails().getMessage());
    }
  }

  public static void main(String[] arguments) throws Exception {
    String version = arguments[1];
    String store = arguments[2];
    Healthcare client = new Healthcare.Builder(arguments[0]).build();
    GenericJson body = object("bigqueryDestination", object("tableUri", arguments[3], "writeDisposition", "WRITE_APPEND"));
    String name = (String) new Call(client, "POST", version + "/" + store + ":export", body).execute().get("name");
    GenericJson operation = object();
    while (!Boolean.TRUE.equals(operation.get("done"))) {
      Thread.sleep(50);
      operation = new Call(client, "GET", version + "/" + name, null).execute();
    }
    told("operation", operation);
    told("cancel", refused(new Call(client, "POST", version + "/" + name + ":cancel", object())));
    GenericJson wrong = object("bigqueryDestination", object("tableUri", "x", "force", "y"));
    told("wrong", refused(new Call(client, "POST", version + "/" + store + ":export", wrong)));
  }
}
